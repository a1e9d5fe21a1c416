// A heap that can be copied and put back: how the search over states of the real scheduler and the
// real runner goes back to a state without those classes knowing of it.
//
// While an Inside lives, operator new takes from one region at a fixed address. Whatever was made
// there, pointers and all, is in a Snapshot, and is there again after restore(). What such objects
// refer to outside of the region (files, statics) isn't: the model has none of the first, and makes
// the second before it begins. One thread.
#pragma once

#include <cstddef>
#include <memory>

namespace sluice::search {

class SnapshotHeap {
 public:
  // Allocations of this scope are the region's. Nests.
  class Inside {
   public:
    Inside();
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    bool before_;
  };
  // Outside again, within an Inside.
  class Outside {
   public:
    Outside();
    ~Outside();
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

   private:
    bool before_;
  };

  class Snapshot {
   public:
    std::size_t size() const { return size_; }

   private:
    friend class SnapshotHeap;
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
  };

  // Throws away all that is in the region.
  static void clear();
  static Snapshot save();
  static void restore(const Snapshot& snapshot);
};

}  // namespace sluice::search
