// One attempt to decode DRACO's cyclic code, in real numbers: erase.py.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "vector.h"

typedef Vector<double>::Aligned Aligned;
typedef Vector<double>::Loose Loose;
constexpr int64_t LANES = Vector<double>::lanes;

// Rows of a product and vectors of a row that are in registers at a time; vectors of a row that are reflected at a time.
constexpr int64_t ROWS = 8, PAIR = 2, WIDE = 4;

// N devices of which s may lie. `turn` (2, N) has the real and imaginary parts of the phases that make the checks real,
// `rows` (2 s + 2, N) the checks and the leading row, `mixture` (D,) the factors of a sketch and `loud` (s,) the largest
// norms of its syndromes without lies. `none` and `some` are the largest residuals without and with erasures; a message
// that is so many times `larger` than the (s + 1)-th largest is a lie.
struct Code {
  const double *turn, *rows, *mixture, *loud;
  double none, some, larger;
  int64_t devices, liars, dimension;
};

// What a run takes besides its messages, in vectors.
struct Room {
  int64_t buckets, lanes, columns, width, rows;
  INLINE explicit Room(const Code &code)
      : buckets((code.liars + 1) / 2), lanes(up(buckets, LANES)), columns(up(2 * buckets, PAIR * LANES) / LANES),
        width(up(code.devices + code.liars, WIDE * LANES) / LANES), rows(up(2 * code.liars + 2, ROWS)) {}
  static INLINE constexpr int64_t up(int64_t size, int64_t to) { return (size + to - 1) / to * to; }
};

struct Scratch {
  Aligned *matrix;   // (rows, width): what is reflected
  Aligned *columns;  // (N, columns): the sketch, or two vectors of the turned messages
  Aligned *made;     // (rows, columns): a product
  double *left;      // (rows, N): its left factor
  int64_t *used, *liars;
  double *sizes;  // (2 N)
  bool *known;    // (N)
};

INLINE Aligned load(const double *from, int64_t filled) {
  if (filled >= LANES) return *(const Loose *)from;
  Aligned vector = {};
  for (int64_t lane = 0; lane < filled; lane++) vector[lane] = from[lane];
  return vector;
}

// to[row] = the sum over n of left[row, n] right[n], in the order of n, of vectors; `stride` of them make a row. `left` has
// ROWS rows at a time, entry by entry.
INLINE void multiplied(const double *left, const Aligned *right, Aligned *to, int64_t rows, int64_t count, int64_t stride) {
  for (int64_t row = 0; row < rows; row += ROWS)
    for (int64_t column = 0; column < stride; column += PAIR) {
      Aligned sum[ROWS][PAIR] = {};
      const double *of = left + row * count;
      const Aligned *from = right + column;
      for (int64_t n = 0; n < count; n++, of += ROWS, from += stride) {
        const Aligned first = from[0], second = from[1];
#pragma GCC unroll 8
        for (int64_t p = 0; p < ROWS; p++) {
          sum[p][0] += of[p] * first;
          sum[p][1] += of[p] * second;
        }
      }
#pragma GCC unroll 8
      for (int64_t p = 0; p < ROWS; p++) {
        to[(row + p) * stride + column] = sum[p][0];
        to[(row + p) * stride + column + 1] = sum[p][1];
      }
    }
}

// The left factor of a product: the columns of some devices, in order, of rows of `width` vectors.
INLINE void gathered(const Aligned *matrix, int64_t width, int64_t rows, const int64_t *used, int64_t count, double *left) {
  for (int64_t row = 0; row < rows; row++) {
    const double *from = (const double *)(matrix + row * width);
    double *to = left + row / ROWS * ROWS * count + row % ROWS;
    for (int64_t n = 0; n < count; n++) to[n * ROWS] = from[used[n]];
  }
}

// Sums of the turned messages over buckets of coordinates, with random factors: real parts, then imaginary parts.
INLINE void sketched(const Code &code, const Room &room, const double *messages, double scale, const int64_t *used,
                     int64_t count, const Scratch &scratch) {
  for (int64_t n = 0; n < count; n++) {
    double *to = (double *)(scratch.columns + n * room.columns);
    std::fill(to, to + room.columns * LANES, 0.0);
    for (int64_t part = 0; part < 2; part++)
      for (int64_t first = 0; first < room.lanes; first += LANES) {
        const double *from = messages + (2 * used[n] + part) * code.dimension;
        Aligned sum = {};
        int64_t k = first;
        for (; k + LANES <= code.dimension; k += room.lanes)
          sum += *(const Loose *)(from + k) * scale * *(const Loose *)(code.mixture + k);
        if (k < code.dimension) sum += load(from + k, code.dimension - k) * scale * load(code.mixture + k, code.dimension - k);
        double *bucket = to + part * room.buckets;
        for (int64_t lane = 0, at = first % room.buckets; lane < LANES; lane++) {
          bucket[at] += sum[lane];
          at = at + 1 < room.buckets ? at + 1 : 0;
        }
      }
    const double real = code.turn[used[n]], imaginary = code.turn[code.devices + used[n]];
    for (int64_t bucket = 0; bucket < room.buckets; bucket++) {
      double &a = to[bucket], &b = to[room.buckets + bucket];
      const double turned = real * a - imaginary * b;
      b = imaginary * a + real * b;
      a = turned;
    }
  }
}

// Householder's reflections of rows (2 s, width) that make the j-th of s given columns 0 below row j.
INLINE void reflected(const Code &code, const Room &room, Aligned *matrix, const int64_t *columns, double *factor) {
  const int64_t checks = 2 * code.liars;
  const double *entry = (const double *)matrix;
  for (int64_t j = 0; j < code.liars; j++) {
    double square = 0;
    for (int64_t m = j; m < checks; m++) {
      factor[m] = entry[m * room.width * LANES + columns[j]];
      square += factor[m] * factor[m];
    }
    const double norm = std::sqrt(square);
    if (norm == 0) continue;
    for (int64_t m = j; m < checks; m++) factor[m] /= norm;
    const double scale = 1 / (1 + std::abs(factor[j]));
    factor[j] += factor[j] < 0 ? -1 : 1;
    for (int64_t first = 0; first < room.width; first += WIDE) {
      Aligned sum[WIDE] = {};
      for (int64_t m = j; m < checks; m++)
#pragma GCC unroll 4
        for (int64_t k = 0; k < WIDE; k++) sum[k] += factor[m] * matrix[m * room.width + first + k];
      for (int64_t k = 0; k < WIDE; k++) sum[k] *= scale;
      for (int64_t m = j; m < checks; m++)
#pragma GCC unroll 4
        for (int64_t k = 0; k < WIDE; k++) matrix[m * room.width + first + k] -= factor[m] * sum[k];
    }
  }
}

// The gradient from the messages that are used, and the largest norm of their syndromes: the last two rows of `left`
// give the gradient, the `checks` above them the syndromes.
INLINE double solved(const Code &code, const Room &room, const double *messages, double scale, const int64_t *used,
                     int64_t count, int64_t checks, const Scratch &scratch, double *gradient) {
  Aligned largest = {};
  for (int64_t column = 0; column < code.dimension; column += LANES) {
    const int64_t filled = code.dimension - column;
    for (int64_t n = 0; n < count; n++) {
      const double *from = messages + 2 * used[n] * code.dimension + column;
      const Aligned a = load(from, filled) * scale, b = load(from + code.dimension, filled) * scale;
      const double real = code.turn[used[n]], imaginary = code.turn[code.devices + used[n]];
      scratch.columns[n * PAIR] = real * a - imaginary * b;
      scratch.columns[n * PAIR + 1] = imaginary * a + real * b;
    }
    multiplied(scratch.left, scratch.columns, scratch.made, Room::up(checks + 2, ROWS), count, PAIR);
    Aligned square = {};
    for (int64_t m = 0; m < checks; m++)
      for (int64_t k = 0; k < PAIR; k++) square += scratch.made[m * PAIR + k] * scratch.made[m * PAIR + k];
    largest = square > largest ? square : largest;
    const Aligned value = scratch.made[checks * PAIR] - scratch.made[(checks + 1) * PAIR + 1];
    for (int64_t lane = 0; lane < LANES && lane < filled; lane++) gradient[column + lane] = value[lane];
  }
  double most = 0;
  for (int64_t lane = 0; lane < LANES; lane++) most = std::max(most, largest[lane]);
  return std::sqrt(most);
}

// Into `liars` the s columns of the lowest `checks` rows with the least squares, those that are not used first.
INLINE void located(const Code &code, const Room &room, const Scratch &scratch) {
  Aligned *square = scratch.made;
  const int64_t vectors = Room::up(code.devices, LANES) / LANES;
  for (int64_t k = 0; k < vectors; k++) {
    square[k] = Aligned{};
    for (int64_t m = code.liars; m < 2 * code.liars; m++)
      square[k] += scratch.matrix[m * room.width + k] * scratch.matrix[m * room.width + k];
  }
  double *value = (double *)square;
  for (int64_t i = 0; i < code.devices; i++) value[i] = scratch.known[i] ? -1 : value[i];
  for (int64_t j = 0; j < code.liars; j++) {
    const int64_t least = std::min_element(value, value + code.devices) - value;
    scratch.liars[j] = least;
    value[least] = std::numeric_limits<double>::infinity();
  }
  std::sort(scratch.liars, scratch.liars + code.liars);
}

// Marks the messages that are no numbers or out of scale; returns the unit, or 0 if these are more than s.
INLINE double screened(const Code &code, const double *messages, const Scratch &scratch) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const int64_t devices = code.devices, entries = 2 * code.dimension;
  double *size = scratch.sizes, *sorted = size + devices;
  for (int64_t i = 0; i < devices; i++) {
    Aligned largest = {}, odd = {};  // 0, or NaN where an entry is infinite or NaN
    for (int64_t k = 0; k < entries; k += LANES) {
      const Aligned each = load(messages + i * entries + k, entries - k), size = each < 0 ? -each : each;
      largest = size > largest ? size : largest;
      odd += each - each;
    }
    size[i] = 0;
    for (int64_t lane = 0; lane < LANES; lane++) size[i] = std::max(size[i], odd[lane] == 0 ? largest[lane] : infinity);
    sorted[i] = size[i];
  }
  std::nth_element(sorted, sorted + code.liars, sorted + devices, std::greater<double>());
  const double scale = sorted[code.liars];
  int64_t known = 0;
  for (int64_t i = 0; i < devices; i++) known += scratch.known[i] = !(size[i] <= code.larger * scale) || size[i] == infinity;
  if (known > code.liars) return 0;
  int exponent;
  std::frexp(scale > 0 ? std::max(scale, std::numeric_limits<double>::min()) : 1.0, &exponent);
  return std::ldexp(1.0, exponent - 1);
}

INLINE double attempt(const Code &code, const Room &room, const double *messages, double scale, const Scratch &scratch,
                      double *gradient) {
  const bool *known = scratch.known;
  const int64_t devices = code.devices, liars = code.liars, checks = 2 * liars;
  double *entry = (double *)scratch.matrix;
  const auto fill = [&]() INLINE_LAMBDA {
    std::fill(scratch.matrix, scratch.matrix + room.rows * room.width, Aligned{});
    for (int64_t m = 0; m < checks + 2; m++)
      std::copy(code.rows + m * devices, code.rows + (m + 1) * devices, entry + m * room.width * LANES);
  };
  int64_t count = 0;
  for (int64_t i = 0; i < devices; i++)
    if (!known[i]) scratch.used[count++] = i;

  fill();
  gathered(scratch.matrix, room.width, room.rows, scratch.used, count, scratch.left);
  sketched(code, room, messages, scale, scratch.used, count, scratch);
  multiplied(scratch.left, scratch.columns, scratch.made, room.rows, count, room.columns);
  bool quiet = true;
  const double *made = (const double *)scratch.made;
  for (int64_t j = 0; j < liars; j++) {
    double square = 0;
    for (int64_t m = 0; m < checks; m++) {
      const double each = made[m * room.columns * LANES + j];
      square += each * each;
      entry[m * room.width * LANES + devices + j] = each;
    }
    quiet &= std::sqrt(square) <= code.loud[j];
    scratch.liars[j] = devices + j;
  }
  if (quiet) {
    const double doubt = solved(code, room, messages, scale, scratch.used, count, checks, scratch, gradient) / code.none;
    if (doubt <= 1) return doubt;
  }

  reflected(code, room, scratch.matrix, scratch.liars, scratch.left);
  located(code, room, scratch);
  fill();
  reflected(code, room, scratch.matrix, scratch.liars, scratch.left);
  for (int64_t j = 0; j < liars; j++)  // the leading row takes a combination of the checks, and is 0 there
    for (int64_t m = checks; m < checks + 2; m++) {
      const double *pivot = entry + j * room.width * LANES;
      double *row = entry + m * room.width * LANES;
      const double factor = row[scratch.liars[j]] / pivot[scratch.liars[j]];
      for (int64_t i = 0; i < devices; i++) row[i] -= factor * pivot[i];
    }
  count = 0;
  for (int64_t i = 0, j = 0; i < devices; i++) {
    if (j < liars && scratch.liars[j] == i) j++;
    else scratch.used[count++] = i;
  }
  std::fill(scratch.left, scratch.left + room.rows * devices, 0.0);
  gathered(scratch.matrix + liars * room.width, room.width, liars + 2, scratch.used, count, scratch.left);
  return solved(code, room, messages, scale, scratch.used, count, liars, scratch, gradient) / code.some;
}

extern "C" {
// messages (R, N, 2 D), and of the code: turn (2, N), rows (2 s + 2, N), mixture (D,), loud (s,), limits (3,);
// out: gradient (R, D) and doubt (R,), infinite if more than s messages are no numbers or out of scale
EACH_PROCESSOR void erase_float64(const double *messages, const double *turn, const double *rows, const double *mixture,
                                  const double *loud, const double *limits, double *gradient, double *doubt,
                                  int64_t runs, int64_t devices, int64_t liars, int64_t dimension) {
  const Code code{turn, rows, mixture, loud, limits[0], limits[1], limits[2], devices, liars, dimension};
  const Room room(code);
  const int64_t columns = std::max(room.columns, PAIR), vector = sizeof(Aligned);
  const int64_t made = std::max(room.rows * columns, Room::up(devices, LANES) / LANES);
  const auto vectors = [](int64_t bytes) { return std::aligned_alloc(64, Room::up(bytes, 64)); };
  const Scratch scratch{(Aligned *)vectors(room.rows * room.width * vector), (Aligned *)vectors(devices * columns * vector),
                        (Aligned *)vectors(made * vector), (double *)vectors(room.rows * devices * 8),
                        (int64_t *)vectors(devices * 8), (int64_t *)vectors((liars + 1) * 8),
                        (double *)vectors(2 * devices * 8), (bool *)vectors(devices)};
  for (int64_t run = 0; run < runs; run++, messages += devices * 2 * dimension, gradient += dimension) {
    const double unit = screened(code, messages, scratch);
    doubt[run] = std::numeric_limits<double>::infinity();
    if (unit > 0) doubt[run] = attempt(code, room, messages, 1 / unit, scratch, gradient);
    for (int64_t k = 0; k < dimension; k++) gradient[k] = doubt[run] <= 1 ? gradient[k] * unit : 0;
  }
  for (void *each : {(void *)scratch.matrix, (void *)scratch.columns, (void *)scratch.made, (void *)scratch.left,
                     (void *)scratch.used, (void *)scratch.liars, (void *)scratch.sizes, (void *)scratch.known})
    std::free(each);
}
}
