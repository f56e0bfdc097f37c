// The page is one file: scripts and styles are put into it, and the server embeds it.
import { defineConfig } from 'vite';
import { viteSingleFile } from 'vite-plugin-singlefile';

export default defineConfig({
  plugins: [viteSingleFile({ removeViteModuleLoader: true })],
  build: { target: 'es2020', reportCompressedSize: false },
  logLevel: 'warn',
  clearScreen: false,
});
