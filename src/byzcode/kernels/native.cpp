// The hot loops on a CPU. Each is the body of a function in gather.py, order.py or distances.py, where the same is said in
// torch and numpy; both make the same bits, so sums run over one index after the other, and no multiplication is fused
// with an addition (-ffp-contract=off). Vectors lie along the coordinates: only distances split a sum over their lanes.

#include <cstdint>
#include <cstdlib>
#include <limits>

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

// ---------------------------------------------------------------------------------------------- weighted sums of rows

// A code: message i is a sum over slots s of weight[device, s] factor[k] rows[k], with k = names[held[device, s]] and
// device = devices[i]. `devices` and `names` may be null: then each stands for itself. A subset has `samples` rows.
template <class T> struct Code {
  const T *rows, *factor;
  const int64_t *held;
  const T *weight;
  const int64_t *devices, *names;
  int64_t slots, samples, dimension;
};

// Each row of a message, with what it is multiplied by, in order.
template <class T, class Use> INLINE void each_row(const Code<T> &code, int64_t device, Use use) {
  for (int64_t slot = 0; slot < code.slots; slot++) {
    const int64_t subset = code.held[device * code.slots + slot];
    const int64_t first = (code.names ? code.names[subset] : subset) * code.samples;
    for (int64_t row = first; row < first + code.samples; row++)
      use(code.weight[device * code.slots + slot] * code.factor[row], code.rows + row * code.dimension);
  }
}

// The sums of one message over K vectors of coordinates, from `column` on, in registers. The last of them ends with the
// row, where it overlaps with the one before if D fills no whole number of vectors.
template <class T, int K> INLINE void columns(const Code<T> &code, int64_t device, T *out, int64_t column, bool ends) {
  typedef typename Vector<T>::Aligned Aligned;
  typedef typename Vector<T>::Loose Loose;
  constexpr int64_t lanes = Vector<T>::lanes;
  const int64_t last = ends ? code.dimension - lanes : column + (K - 1) * lanes;
  Aligned sum[K];
  for (int k = 0; k < K; k++) sum[k] = Aligned{};
  each_row(code, device, [&](T weight, const T *from) INLINE_LAMBDA {
#pragma GCC unroll 16
    for (int k = 0; k < K; k++)
      sum[k] += weight * (Aligned) * (const Loose *)(from + (k + 1 < K ? column + k * lanes : last));
  });
#pragma GCC unroll 16
  for (int k = 0; k < K; k++) *(Loose *)(out + (k + 1 < K ? column + k * lanes : last)) = sum[k];
}

// The same where all coordinates together fill no vector.
template <class T> INLINE void few(const Code<T> &code, int64_t device, T *out) {
  T sum[Vector<T>::lanes] = {};
  each_row(code, device, [&](T weight, const T *from) INLINE_LAMBDA {
    for (int64_t lane = 0; lane < code.dimension; lane++) sum[lane] += weight * from[lane];
  });
  for (int64_t lane = 0; lane < code.dimension; lane++) out[lane] = sum[lane];
}

template <class T> INLINE void coded(const Code<T> &code, T *out, int64_t messages) {
  constexpr int64_t lanes = Vector<T>::lanes;
  for (int64_t i = 0; i < messages; i++, out += code.dimension) {
    const int64_t device = code.devices ? code.devices[i] : i;
    if (code.dimension < lanes) {
      few<T>(code, device, out);
      continue;
    }
    int64_t column = 0;
    for (; column + 13 * lanes < code.dimension; column += 12 * lanes) columns<T, 12>(code, device, out, column, false);
    switch ((code.dimension - column + lanes - 1) / lanes) {
#define ENDING(K)                                                                                                      \
  case K: columns<T, K>(code, device, out, column, true); break;
      ENDING(1) ENDING(2) ENDING(3) ENDING(4) ENDING(5) ENDING(6) ENDING(7)
      ENDING(8) ENDING(9) ENDING(10) ENDING(11) ENDING(12) ENDING(13)
#undef ENDING
    }
  }
}

// --------------------------------------------------------------------------------------------------- order statistics

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

// ---------------------------------------------------------------------------------------------------------- distances

// Squared distances of all pairs of N messages, each made of its two messages alone: coordinates are taken a block at a
// time. In a block each lane sums its own; then the lanes are added one after the other, and to the blocks before.
constexpr int64_t BLOCK = 256;

INLINE void distances(const double *messages, const double *unit, double *out, int64_t devices, int64_t dimension, double *scratch) {
  typedef Vector<double>::Aligned Aligned;
  constexpr int64_t lanes = Vector<double>::lanes, width = BLOCK / lanes;
  const Aligned *block = (const Aligned *)scratch;
  for (int64_t pair = 0; pair < devices * devices; pair++) out[pair] = 0;
  for (int64_t column = 0; column < dimension; column += BLOCK) {
    const int64_t filled = dimension - column < BLOCK ? dimension - column : BLOCK;
    const int64_t vectors = (filled + lanes - 1) / lanes;
    for (int64_t n = 0; n < devices; n++)
      for (int64_t k = 0; k < vectors * lanes; k++)
        scratch[n * BLOCK + k] = k < filled ? messages[n * dimension + column + k] / unit[n] : 0;
    for (int64_t i = 0; i < devices; i++) {
      for (int64_t j = i + 1; j < devices; j++) {
        Aligned sum = {};
        for (int64_t k = 0; k < vectors; k++) {
          const Aligned away = block[i * width + k] - block[j * width + k];
          sum += away * away;
        }
        double whole = sum[0];
        for (int64_t lane = 1; lane < lanes; lane++) whole += sum[lane];
        out[i * devices + j] += whole;
      }
    }
  }
  for (int64_t i = 0; i < devices; i++)
    for (int64_t j = 0; j < i; j++) out[i * devices + j] = out[j * devices + i];
}

#define FOR_EACH_TYPE(T, suffix)                                                                                       \
  /* rows (R, K, D), factor (R, K), held and weight (R, N, S), devices (R, N), names (R, M), out (R, N, D) */          \
  EACH_PROCESSOR void coded_##suffix(const T *rows, const T *factor, const int64_t *held, const T *weight,             \
                                     const int64_t *devices, const int64_t *names, T *out, int64_t runs,               \
                                     int64_t count, int64_t messages, int64_t slots, int64_t samples,                  \
                                     int64_t dimension) {                                                              \
    for (int64_t run = 0; run < runs; run++)                                                                           \
      coded<T>({rows + run * count * dimension, factor + run * count, held + run * messages * slots,                   \
                weight + run * messages * slots, devices ? devices + run * messages : nullptr,                         \
                names ? names + run * (count / samples) : nullptr, slots, samples, dimension},                         \
               out + run * messages * dimension, messages);                                                            \
  }                                                                                                                    \
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
FOR_EACH_TYPE(float, float32)
FOR_EACH_TYPE(double, float64)
// messages (R, N, D), by what each is divided (R, N), out (R, N, N)
EACH_PROCESSOR void distances_float64(const double *messages, const double *unit, double *out, int64_t runs,
                                      int64_t devices, int64_t dimension) {
  double *scratch = (double *)std::aligned_alloc(64, devices * BLOCK * sizeof(double));
  for (int64_t run = 0; run < runs; run++)
    distances(messages + run * devices * dimension, unit + run * devices, out + run * devices * devices, devices,
              dimension, scratch);
  std::free(scratch);
}
}
