// Distances between messages: distances.py.

#include "vector.h"

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

extern "C" {
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
