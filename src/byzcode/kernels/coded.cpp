// Weighted sums of rows: gather.py.

#include "vector.h"

// A code: message i is a sum over slots of weight[device, s] factor[k] rows[k], with k = names[assigned[device, s]] and
// device = devices[i]. `devices` and `names` may be null: then each stands for itself. A subset has `samples` rows.
template <class T> struct Code {
  const T *rows, *factor;
  const int64_t *assigned;
  const T *weight;
  const int64_t *devices, *names;
  int64_t slots, samples, dimension;
};

// Each row of a message, with what it is multiplied by, in order.
template <class T, class Use> INLINE void each_row(const Code<T> &code, int64_t device, Use use) {
  for (int64_t slot = 0; slot < code.slots; slot++) {
    const int64_t subset = code.assigned[device * code.slots + slot];
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

#define FOR_TYPE(T, suffix)                                                                                            \
  /* rows (R, K, D), factor (R, K), assigned and weight (R, N, S), devices (R, N), names (R, M), out (R, N, D) */      \
  EACH_PROCESSOR void coded_##suffix(const T *rows, const T *factor, const int64_t *assigned, const T *weight,         \
                                     const int64_t *devices, const int64_t *names, T *out, int64_t runs,               \
                                     int64_t count, int64_t messages, int64_t slots, int64_t samples,                  \
                                     int64_t dimension) {                                                              \
    for (int64_t run = 0; run < runs; run++)                                                                           \
      coded<T>({rows + run * count * dimension, factor + run * count, assigned + run * messages * slots,               \
                weight + run * messages * slots, devices ? devices + run * messages : nullptr,                         \
                names ? names + run * (count / samples) : nullptr, slots, samples, dimension},                         \
               out + run * messages * dimension, messages);                                                            \
  }

extern "C" {
FOR_TYPE(float, float32)
FOR_TYPE(double, float64)
}
