// Squared distances of the gradients of a linear layer from their mean, or from any other matrix: outer.py.

#include "layer.h"

// Squared distances of the subsets' gradients from one matrix, in double precision, where no square of a float overflows.
INLINE void distances(const Layer &layer, const float *centre, double *out, int64_t rows, Aligned *made) {
  typedef double Wide __attribute__((vector_size(8 * 64 / sizeof(float))));
  each_part(layer, rows, [&](const Part &part) INLINE_LAMBDA {
    const int64_t before = part.column + (part.vectors - 1) * LANES - part.last;  // lanes that the last vector repeats
    each_subset(layer, part, made, [&](int64_t subset) INLINE_LAMBDA {
      Wide sum = {};
      for (int64_t row = 0; row < part.rows; row++)
        for (int64_t k = 0; k < part.vectors; k++) {
          const float *from = centre + (part.row + row) * layer.inputs + part.at(k);
          Aligned away = made[row * part.vectors + k] - (Aligned) * (const Loose *)from;
          if (k + 1 == part.vectors)
            for (int64_t lane = 0; lane < before; lane++) away[lane] = 0;
          const Wide wide = __builtin_convertvector(away, Wide);
          sum += wide * wide;
        }
      for (int64_t lane = 0; lane < LANES; lane++) out[subset] += sum[lane];
    });
  });
}

extern "C" {
// left (R, K, o), right (R, K, i), sizes (R, M), centre (R, .) with `stride` numbers a run, of which o i count; adds to
// out (R, M)
EACH_PROCESSOR void spread_float32(const float *left, const float *right, const int64_t *sizes, const float *centre,
                                 double *out, int64_t runs, int64_t subsets, int64_t outputs, int64_t inputs,
                                 int64_t stride) {
  const int64_t rows = std::min<int64_t>(outputs, 4 * ROWS);
  Aligned *made = (Aligned *)std::aligned_alloc(64, rows * WIDEST * sizeof(Aligned));
  Layer layer{left, right, sizes, subsets, outputs, inputs};
  for (int64_t run = 0; run < runs; run++, layer = layer.next())
    distances(layer, centre + run * stride, out + run * subsets, rows, made);
  std::free(made);
}
}
