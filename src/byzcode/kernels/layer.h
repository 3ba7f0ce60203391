// The gradients of the subsets of a linear layer, some rows and columns of all of them at a time: outer.py. Only in single
// precision; in double precision the bits are those of torch's matrix products.

#pragma once

#include <algorithm>

#include "vector.h"

typedef Vector<float>::Aligned Aligned;
typedef Vector<float>::Loose Loose;
constexpr int64_t LANES = Vector<float>::lanes;

// Vectors of columns at a time, and rows that are summed in registers: together they fill them.
constexpr int64_t WIDEST = 6, ROWS = 4;

// A linear layer in a run: the gradient of a subset is the sum over its examples e of left[e] outer right[e], a matrix
// (outputs, inputs). The examples of a subset are consecutive.
struct Layer {
  const float *left, *right;
  const int64_t *sizes;
  int64_t subsets, outputs, inputs;
  INLINE int64_t examples() const {
    int64_t count = 0;
    for (int64_t k = 0; k < subsets; k++) count += sizes[k];
    return count;
  }
  INLINE Layer next() const {  // the same layer in the next run
    return {left + examples() * outputs, right + examples() * inputs, sizes + subsets, subsets, outputs, inputs};
  }
};

// Some rows and vectors of columns of such a matrix. The last vector ends with the row, where it overlaps with the one
// before if the row fills no whole number of vectors.
struct Part {
  int64_t row, rows, column, vectors, last;
  INLINE int64_t at(int64_t k) const { return k + 1 < vectors ? column + k * LANES : last; }
};

template <int P, int V>
INLINE void sums(const float *left, const float *right, int64_t examples, const Layer &layer, int64_t last, Aligned *to) {
  Aligned sum[P][V];
  for (int p = 0; p < P; p++)
    for (int k = 0; k < V; k++) sum[p][k] = Aligned{};
  for (int64_t e = 0; e < examples; e++, left += layer.outputs, right += layer.inputs) {
    Aligned from[V];
#pragma GCC unroll 16
    for (int k = 0; k < V; k++) from[k] = *(const Loose *)(right + (k + 1 < V ? k * LANES : last));
#pragma GCC unroll 16
    for (int p = 0; p < P; p++)
#pragma GCC unroll 16
      for (int k = 0; k < V; k++) sum[p][k] += left[p] * from[k];
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; p++)
#pragma GCC unroll 16
    for (int k = 0; k < V; k++) to[p * V + k] = sum[p][k];
}

// The part of each subset's gradient, (rows, V) vectors, in the order of the subsets.
template <int V, class Use> INLINE void each_subset(const Layer &layer, const Part &part, Aligned *made, Use use) {
  const float *left = layer.left + part.row, *right = layer.right + part.column;
  for (int64_t subset = 0; subset < layer.subsets; subset++) {
    const int64_t examples = layer.sizes[subset], last = part.last - part.column;
    int64_t row = 0;
    for (; row + ROWS <= part.rows; row += ROWS) sums<ROWS, V>(left + row, right, examples, layer, last, made + row * V);
    for (; row < part.rows; row++) sums<1, V>(left + row, right, examples, layer, last, made + row * V);
    use(subset);
    left += examples * layer.outputs;
    right += examples * layer.inputs;
  }
}

template <class Use> INLINE void each_subset(const Layer &layer, const Part &part, Aligned *made, Use use) {
  switch (part.vectors) {
#define VECTORS(V)                                                                                                     \
  case V: each_subset<V>(layer, part, made, use); break;
    VECTORS(1) VECTORS(2) VECTORS(3) VECTORS(4) VECTORS(5) VECTORS(6)
#undef VECTORS
  }
}

// All parts, of at most `rows` rows, left to right.
template <class Use> INLINE void each_part(const Layer &layer, int64_t rows, Use use) {
  const int64_t vectors = (layer.inputs + LANES - 1) / LANES, strips = (vectors + WIDEST - 1) / WIDEST;
  for (int64_t strip = 0; strip < strips; strip++) {
    const int64_t first = strip * vectors / strips, end = (strip + 1) * vectors / strips;
    const int64_t last = std::min(end * LANES, layer.inputs) - LANES;
    for (int64_t row = 0; row < layer.outputs; row += rows)
      use(Part{row, std::min(rows, layer.outputs - row), first * LANES, end - first, last});
  }
}
