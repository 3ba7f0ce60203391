// What the compiled kernels share. Each source is the body of a function in a module of this folder, where
// the same is said in torch and numpy; both make the same bits, so sums run over one index after the other, and no
// multiplication is fused with an addition (-ffp-contract=off). Vectors lie along the coordinates: only distances split
// a sum over their lanes.

#pragma once

#include <cstdint>
#include <cstdlib>

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#if defined(__x86_64__) && defined(__linux__)
// One body, compiled for three generations of processors; the right one is chosen when the library is loaded.
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR
#endif

template <class T> struct Vector {
  static constexpr int64_t lanes = 64 / sizeof(T);
  typedef T Aligned __attribute__((vector_size(64)));
  typedef T Loose __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
};
