// Fetched sources, shared with BuildStream 2.8 in both directions.
//
//   CACHEDIR/elementsources/KEY       all sources of an element, as staged together
//   CACHEDIR/source_protos/KIND/KEY   one source, staged by itself
//
// Each is a buildstream.v2.Source message with the root digest of the files. KEY of
// elementsources is model::Element::sources_key, of source_protos model::Source::key.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "store/cas.h"
#include "store/complete.h"

namespace sluice::store {

// The key of elementsources that elements without sources have: SHA-256 of "[]".
inline constexpr std::string_view kNoSources =
    "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";

// Refers to `cas`, which must outlive it. One thread.
class SourceRefs {
 public:
  explicit SourceRefs(Cas& cas, Completeness* complete = nullptr);

  // The root digest, when the ref is there and every blob of its tree too.
  Result<std::optional<Digest>> lookup_element(std::string_view sources_key) const;
  Result<std::optional<Digest>> lookup_source(std::string_view kind, std::string_view key) const;

  // The message of elementsources as it lies there, whole or not; std::nullopt when there is none.
  Result<std::optional<std::string>> element_message(std::string_view sources_key) const;
  // Takes such a message from elsewhere as it is; the tree must be there ("missing-blob").
  Status adopt_element(std::string_view sources_key, const std::string& bytes);
  // The root that a message names; "source"/"bad-source".
  static Result<Digest> decode(const std::string& bytes);

  Status store_element(std::string_view sources_key, const Digest& root);
  Status store_source(std::string_view kind, std::string_view key, const Digest& root);

 private:
  Result<std::optional<Digest>> lookup(const std::string& path) const;
  Status put(const std::string& path, const Digest& root);

  Cas& cas_;
  Completeness* complete_;
};

}  // namespace sluice::store
