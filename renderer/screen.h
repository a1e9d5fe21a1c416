// The bottom of a terminal: a block of status rows that is redrawn in place, and above it lines
// that scroll away. Makes the bytes of one frame, to be written in one write(); keeps what the
// terminal shows, and sends only what differs.
//
// The cursor rests at the start of the line below the block, so that whoever writes there when we
// are gone (killed, or the shell) damages nothing. All moves are relative to it: where on the
// screen the block lies is never asked.
//
// Escapes used: CR, LF, CUU, CUD, EL 0, ED 0, SGR, which every terminal since the VT100 has. A
// sparing screen writes less, and needs what came after that: it moves the block down by IL instead
// of writing it again, writes of a row only what differs (CUF), and has the terminal show a frame
// as a whole (private mode 2026, which terminals end by themselves when we don't). No rows are
// reserved, and nothing is to be undone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::renderer {

// A row of the status area as it is written: no newline, and narrower than the terminal by at least
// one column (a full row leaves the cursor in a state in which erasing takes the last character on
// some terminals).
struct Row {
  std::string bytes;      // with its colours
  std::size_t width = 0;  // columns
  bool operator==(const Row&) const = default;
};

class Screen {
 public:
  Screen(std::size_t columns, std::size_t rows, bool sparing = false)
      : columns_(columns), height_(rows), sparing_(sparing) {}

  // The bytes that write `lines` (whole lines, may be empty) above the block and make it show
  // `rows`. Empty when nothing differs. There must be fewer rows than the terminal has.
  std::string frame(std::string_view lines, std::vector<Row> rows);
  // The terminal has a new size. Terminals break rows that have become too long (few cut them); the
  // next frame goes over the lot.
  void resize(std::size_t columns, std::size_t rows);
  // Forgets what the terminal shows: the block is drawn anew where the cursor is.
  void forget();

  std::size_t columns() const { return columns_; }
  std::size_t height() const { return height_; }
  std::size_t shown() const { return rows_.size(); }

 private:
  std::string update(const std::vector<Row>& rows, std::size_t at) const;
  std::string insert(std::string_view lines, const std::vector<Row>& rows) const;
  bool can_insert(std::string_view lines, std::size_t rows) const;
  std::string rewrite(std::string_view lines, const std::vector<Row>& rows) const;

  std::size_t columns_, height_;
  const bool sparing_;
  std::vector<Row> rows_;  // as shown
  std::size_t above_ = 0;  // rows from the block's first to the cursor's
  bool dirty_ = false;     // what is shown is broken: no row can be kept
};

}  // namespace sluice::renderer
