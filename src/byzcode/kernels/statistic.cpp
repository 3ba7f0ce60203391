// Order statistics: order.py.

#include <limits>

#include "vector.h"

enum Statistic { SORTED, MEDIAN, TRIMMED_MEAN, NEAREST_MEDIAN, NEAREST_TRIMMED_MEAN };

// Per coordinate, a statistic of N values. They are sorted by a network: `pairs` of places to compare and exchange, as
// many as the statistic needs. Two vectors of coordinates at a time, whose N rows stay in the first-level cache.
template <class T>
INLINE void statistic(const T *messages, T *out, int64_t devices, int64_t dimension, const int32_t *pairs,
                      int64_t count, int64_t which, int64_t f, T *scratch) {
  typedef typename Vector<T>::Aligned Aligned;
  typedef typename Vector<T>::Loose Loose;
  constexpr int W = 2;
  constexpr int64_t lanes = Vector<T>::lanes, width = W * lanes;
  constexpr T infinity = std::numeric_limits<T>::infinity(), nothing = std::numeric_limits<T>::quiet_NaN();
  Aligned *row = (Aligned *)scratch;
  for (int64_t column = 0; column < dimension; column += width) {
    const int64_t filled = dimension - column < width ? dimension - column : width;
    Aligned missing[W] = {};  // NaN, per lane: they are sorted as infinities, and put back at the end of the row
    bool any = false;
    for (int64_t n = 0; n < devices; n++) {
      const T *from = messages + n * dimension + column;
      for (int k = 0; k < W; k++) {
        if (filled == width) {
          row[n * W + k] = *(const Loose *)(from + k * lanes);
        } else {
          for (int64_t lane = 0; lane < lanes; lane++)
            row[n * W + k][lane] = k * lanes + lane < filled ? from[k * lanes + lane] : T(0);
        }
        const auto bad = row[n * W + k] != row[n * W + k];
        missing[k] += bad ? Aligned{} + T(1) : Aligned{};
      }
    }
    for (int k = 0; k < W; k++)
      for (int64_t lane = 0; lane < lanes; lane++) any |= missing[k][lane] > 0;
    if (any)
      for (int64_t n = 0; n < devices * W; n++) row[n] = row[n] != row[n] ? Aligned{} + infinity : row[n];
    for (int64_t pair = 0; pair < count; pair++) {
      Aligned *low = row + pairs[2 * pair] * W, *high = row + pairs[2 * pair + 1] * W;
      for (int k = 0; k < W; k++) {
        const Aligned a = low[k], b = high[k];
        low[k] = b < a ? b : a;
        high[k] = b < a ? a : b;
      }
    }
    if (any)
      for (int64_t n = 0; n < devices; n++)
        for (int k = 0; k < W; k++)
          row[n * W + k] = missing[k] > T(devices - 1 - n) ? Aligned{} + nothing : row[n * W + k];

    if (which == SORTED) {
      for (int64_t n = 0; n < devices; n++) {
        T *to = out + n * dimension + column;
        if (filled == width) {
          for (int k = 0; k < W; k++) *(Loose *)(to + k * lanes) = row[n * W + k];
        } else {
          for (int64_t lane = 0; lane < filled; lane++) to[lane] = ((const T *)(row + n * W))[lane];
        }
      }
      continue;
    }
    const int64_t kept = devices - f;
    for (int k = 0; k < W; k++) {
      Aligned value;
      if (which == MEDIAN || which == NEAREST_MEDIAN) {
        // Halves first: the sum of two huge numbers would overflow.
        value = T(0.5) * row[(devices - 1) / 2 * W + k] + T(0.5) * row[devices / 2 * W + k];
      } else {
        value = row[f * W + k];
        for (int64_t n = f + 1; n < kept; n++) value += row[n * W + k];
        value /= T(kept - f);
      }
      if (which == NEAREST_MEDIAN || which == NEAREST_TRIMMED_MEAN) {
        const Aligned centre = value;
        value = Aligned{};
        for (int64_t n = 0; n < devices; n++) {
          // Of two values N - f places apart, the nearer one is taken. Where f > N / 2 one value may face two others.
          Aligned taken = row[n * W + k];
          if (n < f) {
            const Aligned above = row[(n + kept) * W + k];
            taken = centre - row[n * W + k] > above - centre ? Aligned{} : taken;  // false for NaN, which is last
          }
          if (n >= kept) {
            const Aligned below = row[(n - kept) * W + k];
            taken = centre - below > row[n * W + k] - centre ? taken : Aligned{};
          }
          value += taken;
        }
        value /= T(kept);
      }
      const T *from = (const T *)&value;
      for (int64_t lane = 0; lane < lanes; lane++)
        if (k * lanes + lane < filled) out[column + k * lanes + lane] = from[lane];
    }
  }
}

#define FOR_TYPE(T, suffix)                                                                                            \
  /* messages (R, N, D), out (R, D), or (R, N, D) if sorted, pairs (C, 2) */                                           \
  EACH_PROCESSOR void statistic_##suffix(const T *messages, T *out, const int32_t *pairs, int64_t runs,                \
                                         int64_t devices, int64_t dimension, int64_t count, int64_t which,             \
                                         int64_t f) {                                                                  \
    T *scratch = (T *)std::aligned_alloc(64, devices * 128);                                                           \
    for (int64_t run = 0; run < runs; run++)                                                                           \
      statistic<T>(messages + run * devices * dimension, out + run * (which == SORTED ? devices : 1) * dimension,      \
                   devices, dimension, pairs, count, which, f, scratch);                                               \
    std::free(scratch);                                                                                                \
  }

extern "C" {
FOR_TYPE(float, float32)
FOR_TYPE(double, float64)
}
