#include "model/states.h"

namespace sluice::model {

StateFacts facts_of(const Element& element, bool strict) {
  StateFacts facts;
  facts.has_refs = element.sources_resolved;
  facts.is_junction = element.kind == "junction";
  facts.is_supported = element.unsupported_by == 0;
  facts.has_key = !element.keys.strict.empty() || (!strict && !element.keys.weak.empty());
  return facts;
}

}  // namespace sluice::model
