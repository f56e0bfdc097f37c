// One module for those who bundle, and one script for pages that do not: it makes `holdfast.withRecovery`.
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    target: 'es2020',
    reportCompressedSize: false,
    lib: { entry: 'recovery.mjs', name: 'holdfast', formats: ['es', 'iife'], fileName: (format) => (format === 'es' ? 'recovery.mjs' : 'recovery.js') },
  },
  logLevel: 'warn',
  clearScreen: false,
});
