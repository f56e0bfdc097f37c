#pragma once

// Which Holdfast this is. The build reads its version from here.
//
// Until 1.0 a new minor version may change the face (this folder), a new patch version only mends.
// The library is static: what it was compiled with is what is linked, so headers and archive must
// come from the same installation.

#define HOLDFAST_VERSION_MAJOR 0
#define HOLDFAST_VERSION_MINOR 1
#define HOLDFAST_VERSION_PATCH 0
// To compare: #if HOLDFAST_VERSION >= 200  (0.2.0)
#define HOLDFAST_VERSION \
  (HOLDFAST_VERSION_MAJOR * 10000 + HOLDFAST_VERSION_MINOR * 100 + HOLDFAST_VERSION_PATCH)
