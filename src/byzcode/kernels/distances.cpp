// Distances between messages: distances.py.

#include "vector.h"

// Squared distances of all pairs of N messages, each made of its two messages alone: coordinates are taken a block at a
// time. In a block each lane sums its own; then the lanes are added one after the other, in double precision, and to the
// blocks before. Some messages are compared with some others at a time, from registers.
constexpr int64_t SOME = 2, OTHERS = 4;
template <class T> constexpr int64_t BLOCK = 256;
template <> constexpr int64_t BLOCK<float> = 1024;  // with fewer lanes to add up

template <class T>
INLINE void distances(const T *messages, const T *unit, double *out, int64_t devices, int64_t dimension, T *scratch) {
  typedef typename Vector<T>::Aligned Aligned;
  constexpr int64_t lanes = Vector<T>::lanes, width = BLOCK<T> / lanes;
  for (int64_t pair = 0; pair < devices * devices; pair++) out[pair] = 0;
  for (int64_t column = 0; column < dimension; column += BLOCK<T>) {
    const int64_t filled = dimension - column < BLOCK<T> ? dimension - column : BLOCK<T>;
    const int64_t vectors = (filled + lanes - 1) / lanes;
    for (int64_t n = 0; n < devices; n++) {
      const T scale = 1 / unit[n], *from = messages + n * dimension + column;  // exact, of a power of two
      T *to = scratch + n * BLOCK<T>;
      for (int64_t k = 0; k < filled; k++) to[k] = from[k] * scale;
      for (int64_t k = filled; k < vectors * lanes; k++) to[k] = 0;
    }
    const auto row = [&](int64_t n) INLINE_LAMBDA {
      return (const Aligned *)scratch + (n < devices ? n : devices - 1) * width;
    };
    for (int64_t i = 0; i < devices; i += SOME) {
      for (int64_t j = i + 1; j < devices; j += OTHERS) {
        const Aligned *one = row(i), *two = row(i + 1);
        const Aligned *from[OTHERS] = {row(j), row(j + 1), row(j + 2), row(j + 3)};
        Aligned sum[SOME][OTHERS] = {};
        for (int64_t k = 0; k < vectors; k++) {
#pragma GCC unroll 4
          for (int64_t p = 0; p < OTHERS; p++) {
            const Aligned first = one[k] - from[p][k], second = two[k] - from[p][k];
            sum[0][p] += first * first;
            sum[1][p] += second * second;
          }
        }
        for (int64_t o = 0; o < SOME && i + o < devices; o++)
          for (int64_t p = 0; p < OTHERS && j + p < devices; p++) {
            double whole = sum[o][p][0];
            for (int64_t lane = 1; lane < lanes; lane++) whole += sum[o][p][lane];
            out[(i + o) * devices + j + p] += whole;
          }
      }
    }
  }
  for (int64_t i = 0; i < devices; i++) {
    out[i * devices + i] = 0;  // where it was compared with itself, and is not finite
    for (int64_t j = 0; j < i; j++) out[i * devices + j] = out[j * devices + i];
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  /* messages (R, N, D), by what each is divided (R, N), out (R, N, N) */                                              \
  EACH_PROCESSOR void distances_##suffix(const T *messages, const T *unit, double *out, int64_t runs, int64_t devices, \
                                         int64_t dimension) {                                                          \
    T *scratch = (T *)std::aligned_alloc(64, devices * BLOCK<T> * sizeof(T));                                             \
    for (int64_t run = 0; run < runs; run++)                                                                           \
      distances<T>(messages + run * devices * dimension, unit + run * devices, out + run * devices * devices, devices, \
                   dimension, scratch);                                                                                \
    std::free(scratch);                                                                                                \
  }

extern "C" {
FOR_TYPE(float, float32)
FOR_TYPE(double, float64)
}
