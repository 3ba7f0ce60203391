// Means of chosen messages: nearest.py.

#include "vector.h"

// Mean i is over the `kept` messages j with taken[i][j], plus the origin. Messages are taken in groups of GROUP: the sums
// of all subsets of a group are made once, and each mean adds the one that it needs of each group, in order.
constexpr int64_t GROUP = 4, SUBSETS = 1 << GROUP, ROWS = 4;

INLINE void mixed(const bool *taken, const double *messages, const double *origin, double *out, int64_t devices,
                  int64_t dimension, int64_t kept, double *scratch) {
  typedef Vector<double>::Aligned Aligned;
  typedef Vector<double>::Loose Loose;
  constexpr int64_t lanes = Vector<double>::lanes;
  const int64_t groups = (devices + GROUP - 1) / GROUP;
  Aligned *sums = (Aligned *)scratch;  // of the vector of coordinates that is being made: (groups, SUBSETS)
  uint8_t *subset = (uint8_t *)(sums + groups * SUBSETS);
  for (int64_t i = 0; i < devices; i++)
    for (int64_t group = 0; group < groups; group++) {
      int chosen = 0;
      for (int64_t j = group * GROUP; j < devices && j < (group + 1) * GROUP; j++)
        chosen |= taken[i * devices + j] << (j - group * GROUP);
      subset[i * groups + group] = chosen;
    }
  for (int64_t column = 0; column < dimension; column += lanes) {
    const int64_t filled = dimension - column < lanes ? dimension - column : lanes;
    for (int64_t group = 0; group < groups; group++) {
      Aligned *of = sums + group * SUBSETS;
      of[0] = Aligned{};
      for (int64_t j = group * GROUP, size = 1; size < SUBSETS; j++, size *= 2) {
        const double *from = messages + j * dimension + column;
        Aligned row = {};
        if (filled == lanes && j < devices) {
          row = *(const Loose *)from;
        } else {
          for (int64_t lane = 0; lane < filled && j < devices; lane++) row[lane] = from[lane];
        }
        for (int64_t smaller = 0; smaller < size; smaller++) of[size + smaller] = of[smaller] + row;
      }
    }
    Aligned start = {};
    for (int64_t lane = 0; lane < filled; lane++) start[lane] = origin[column + lane];
    for (int64_t first = 0; first < devices; first += ROWS) {
      const int64_t rows = devices - first < ROWS ? devices - first : ROWS;
      const uint8_t *of[ROWS];
      for (int64_t i = 0; i < ROWS; i++) of[i] = subset + (first + (i < rows ? i : 0)) * groups;
      Aligned sum[ROWS] = {};
      for (int64_t group = 0; group < groups; group++) {
#pragma GCC unroll 4
        for (int64_t i = 0; i < ROWS; i++) sum[i] += sums[group * SUBSETS + of[i][group]];
      }
      for (int64_t i = 0; i < rows; i++) {
        const Aligned mean = sum[i] / double(kept) + start;
        double *to = out + (first + i) * dimension + column;
        if (filled == lanes) {
          *(Loose *)to = mean;
        } else {
          for (int64_t lane = 0; lane < filled; lane++) to[lane] = mean[lane];
        }
      }
    }
  }
}

extern "C" {
// taken (R, N, N), messages and out (R, N, D), origin (R, D)
EACH_PROCESSOR void mixed_float64(const bool *taken, const double *messages, const double *origin, double *out,
                                  int64_t runs, int64_t devices, int64_t dimension, int64_t kept) {
  const int64_t groups = (devices + GROUP - 1) / GROUP, sums = groups * SUBSETS * Vector<double>::lanes;
  double *scratch = (double *)std::aligned_alloc(64, (sums * sizeof(double) + devices * groups + 63) / 64 * 64);
  for (int64_t run = 0; run < runs; run++)
    mixed(taken + run * devices * devices, messages + run * devices * dimension, origin + run * dimension,
          out + run * devices * dimension, devices, dimension, kept, scratch);
  std::free(scratch);
}
}
