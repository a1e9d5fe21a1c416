// The sort of Python's lists, as of CPython 3.11: natural runs, extended by binary
// insertion to a minimum, merged by their power with galloping. Kept apart because
// comparisons that contradict each other make its every step count; see
// dependency_sort.h. `less` may be any function of two values.
//
// Tim Peters describes the algorithm in CPython's Objects/listsort.txt; the merge
// policy ("powersort") is by Munro and Wild.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace sluice::loader {

template <typename T, typename Less>
class ListSort {
 public:
  ListSort(std::vector<T>& items, Less less) : items_(items), less_(std::move(less)) {}

  void run() {
    const Index count = static_cast<Index>(items_.size());
    if (count < 2) return;
    const Index shortest = shortest_run(count);
    for (Index at = 0; at < count;) {
      Index length = count_run(at, count);
      if (length < shortest) {
        const Index forced = std::min(count - at, shortest);
        insert_rest(at, at + length, at + forced);
        length = forced;
      }
      make_room(length, count);
      runs_.push_back({at, length, 0});
      at += length;
    }
    while (runs_.size() > 1) {
      std::size_t which = runs_.size() - 2;
      if (which > 0 && runs_[which - 1].length < runs_[which + 1].length) --which;
      merge_at(which);
    }
  }

 private:
  using Index = std::ptrdiff_t;

  struct Run {
    Index start;
    Index length;
    int power;
  };

  static constexpr Index kMinGallop = 7;

  static Index shortest_run(Index count) {
    Index carry = 0;
    while (count >= 64) {
      carry |= count & 1;
      count >>= 1;
    }
    return count + carry;
  }

  // Finds the run at `at`, turns it round if it descends, and gives its length.
  Index count_run(Index at, Index end) {
    Index next = at + 1;
    if (next == end) return 1;
    const bool descending = less_(items_[next], items_[at]);
    for (++next; next < end && less_(items_[next], items_[next - 1]) == descending; ++next) {
    }
    if (descending) std::reverse(items_.begin() + at, items_.begin() + next);
    return next - at;
  }

  // Sorts [begin, end), of which [begin, sorted) is sorted.
  void insert_rest(Index begin, Index sorted, Index end) {
    for (; sorted < end; ++sorted) {
      Index low = begin;
      Index high = sorted;
      while (low < high) {
        const Index middle = low + ((high - low) >> 1);
        if (less_(items_[sorted], items_[middle])) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      std::rotate(items_.begin() + low, items_.begin() + sorted, items_.begin() + sorted + 1);
    }
  }

  // The power of a run: how deep in a balanced tree of merges it and its neighbour would meet.
  static int power_of(Index start, Index first, Index second, Index count) {
    int power = 0;
    Index a = 2 * start + first;
    Index b = a + first + second;
    while (true) {
      ++power;
      if (a >= count) {
        a -= count;
        b -= count;
      } else if (b >= count) {
        return power;
      }
      a <<= 1;
      b <<= 1;
    }
  }

  void make_room(Index length, Index count) {
    if (runs_.empty()) return;
    const int power = power_of(runs_.back().start, runs_.back().length, length, count);
    while (runs_.size() > 1 && runs_[runs_.size() - 2].power > power) merge_at(runs_.size() - 2);
    runs_.back().power = power;
  }

  void merge_at(std::size_t which) {
    Index a = runs_[which].start;
    Index a_count = runs_[which].length;
    const Index b = runs_[which + 1].start;
    Index b_count = runs_[which + 1].length;
    runs_[which].length = a_count + b_count;
    runs_.erase(runs_.begin() + static_cast<Index>(which) + 1);
    // The beginning that is in its place already stays out of the merge.
    const Index skipped = gallop_right(items_[b], items_, a, a_count, 0);
    a += skipped;
    a_count -= skipped;
    if (a_count == 0) return;
    b_count = gallop_left(items_[a + a_count - 1], items_, b, b_count, b_count - 1);
    if (b_count == 0) return;
    if (a_count <= b_count) {
      merge_up(a, a_count, b, b_count);
    } else {
      merge_down(a, a_count, b, b_count);
    }
  }

  // The place of `key` in values[base, base + count), left of its equals. The search starts at
  // `hint` and doubles its steps.
  Index gallop_left(const T& key, const std::vector<T>& values, Index base, Index count,
                    Index hint) {
    Index last = 0;
    Index offset = 1;
    const auto at = [&](Index i) -> const T& { return values[static_cast<std::size_t>(base + i)]; };
    if (less_(at(hint), key)) {
      const Index most = count - hint;
      while (offset < most && less_(at(hint + offset), key)) {
        last = offset;
        offset = 2 * offset + 1;
      }
      offset = std::min(offset, most);
      last += hint;
      offset += hint;
    } else {
      const Index most = hint + 1;
      while (offset < most && !less_(at(hint - offset), key)) {
        last = offset;
        offset = 2 * offset + 1;
      }
      offset = std::min(offset, most);
      std::swap(last, offset);
      last = hint - last;
      offset = hint - offset;
    }
    ++last;
    while (last < offset) {
      const Index middle = last + ((offset - last) >> 1);
      if (less_(at(middle), key)) {
        last = middle + 1;
      } else {
        offset = middle;
      }
    }
    return offset;
  }

  // The place of `key` right of its equals.
  Index gallop_right(const T& key, const std::vector<T>& values, Index base, Index count,
                     Index hint) {
    Index last = 0;
    Index offset = 1;
    const auto at = [&](Index i) -> const T& { return values[static_cast<std::size_t>(base + i)]; };
    if (less_(key, at(hint))) {
      const Index most = hint + 1;
      while (offset < most && less_(key, at(hint - offset))) {
        last = offset;
        offset = 2 * offset + 1;
      }
      offset = std::min(offset, most);
      std::swap(last, offset);
      last = hint - last;
      offset = hint - offset;
    } else {
      const Index most = count - hint;
      while (offset < most && !less_(key, at(hint + offset))) {
        last = offset;
        offset = 2 * offset + 1;
      }
      offset = std::min(offset, most);
      last += hint;
      offset += hint;
    }
    ++last;
    while (last < offset) {
      const Index middle = last + ((offset - last) >> 1);
      if (less_(key, at(middle))) {
        offset = middle;
      } else {
        last = middle + 1;
      }
    }
    return offset;
  }

  // Merges from the front, with the first run moved aside.
  void merge_up(Index start, Index a_count, Index b, Index b_count) {
    std::vector<T> aside(std::make_move_iterator(items_.begin() + start),
                         std::make_move_iterator(items_.begin() + start + a_count));
    Index a = 0;
    Index to = start;
    const auto take_a = [&](Index count) {
      for (; count > 0; --count, --a_count) items_[to++] = std::move(aside[a++]);
    };
    const auto take_b = [&](Index count) {
      for (; count > 0; --count, --b_count) items_[to++] = std::move(items_[b++]);
    };
    // What is left when either run is done; the last of the first run is the greatest.
    const auto finish = [&] {
      if (a_count == 1) take_b(b_count);
      take_a(a_count);
    };
    take_b(1);
    if (b_count == 0 || a_count == 1) return finish();
    Index gallop = min_gallop_;
    while (true) {
      Index a_wins = 0;
      Index b_wins = 0;
      while (true) {
        if (less_(items_[b], aside[a])) {
          take_b(1);
          ++b_wins;
          a_wins = 0;
          if (b_count == 0) return take_a(a_count);
          if (b_wins >= gallop) break;
        } else {
          take_a(1);
          ++a_wins;
          b_wins = 0;
          if (a_count == 1) return finish();
          if (a_wins >= gallop) break;
        }
      }
      ++gallop;
      do {
        gallop -= gallop > 1 ? 1 : 0;
        min_gallop_ = gallop;
        a_wins = gallop_right(items_[b], aside, a, a_count, 0);
        if (a_wins > 0) {
          take_a(a_wins);
          if (a_count <= 1) return finish();
        }
        take_b(1);
        if (b_count == 0) return take_a(a_count);
        b_wins = gallop_left(aside[a], items_, b, b_count, 0);
        if (b_wins > 0) {
          take_b(b_wins);
          if (b_count == 0) return take_a(a_count);
        }
        take_a(1);
        if (a_count == 1) return finish();
      } while (a_wins >= kMinGallop || b_wins >= kMinGallop);
      ++gallop;
      min_gallop_ = gallop;
    }
  }

  // Merges from the back, with the second run moved aside.
  void merge_down(Index start, Index a_count, Index b_start, Index b_count) {
    std::vector<T> aside(std::make_move_iterator(items_.begin() + b_start),
                         std::make_move_iterator(items_.begin() + b_start + b_count));
    Index to = b_start + b_count;  // one past where the next goes
    const auto take_a = [&](Index count) {
      for (; count > 0; --count) items_[--to] = std::move(items_[start + --a_count]);
    };
    const auto take_b = [&](Index count) {
      for (; count > 0; --count) items_[--to] = std::move(aside[--b_count]);
    };
    // The first of the second run is the least.
    const auto finish = [&] {
      if (b_count == 1) take_a(a_count);
      take_b(b_count);
    };
    take_a(1);
    if (a_count == 0 || b_count == 1) return a_count == 0 ? take_b(b_count) : finish();
    Index gallop = min_gallop_;
    while (true) {
      Index a_wins = 0;
      Index b_wins = 0;
      while (true) {
        if (less_(aside[b_count - 1], items_[start + a_count - 1])) {
          take_a(1);
          ++a_wins;
          b_wins = 0;
          if (a_count == 0) return take_b(b_count);
          if (a_wins >= gallop) break;
        } else {
          take_b(1);
          ++b_wins;
          a_wins = 0;
          if (b_count == 1) return finish();
          if (b_wins >= gallop) break;
        }
      }
      ++gallop;
      do {
        gallop -= gallop > 1 ? 1 : 0;
        min_gallop_ = gallop;
        a_wins = a_count - gallop_right(aside[b_count - 1], items_, start, a_count, a_count - 1);
        if (a_wins > 0) {
          take_a(a_wins);
          if (a_count == 0) return take_b(b_count);
        }
        take_b(1);
        if (b_count == 1) return finish();
        b_wins = b_count - gallop_left(items_[start + a_count - 1], aside, 0, b_count, b_count - 1);
        if (b_wins > 0) {
          take_b(b_wins);
          if (b_count <= 1) return finish();
        }
        take_a(1);
        if (a_count == 0) return take_b(b_count);
      } while (a_wins >= kMinGallop || b_wins >= kMinGallop);
      ++gallop;
      min_gallop_ = gallop;
    }
  }

  std::vector<T>& items_;
  Less less_;
  std::vector<Run> runs_;
  Index min_gallop_ = kMinGallop;
};

template <typename T, typename Less>
void list_sort(std::vector<T>& items, Less less) {
  ListSort<T, Less>(items, std::move(less)).run();
}

}  // namespace sluice::loader
