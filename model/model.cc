#include "model/model.h"

namespace sluice::model {

const Obstacle* Element::obstacle(Obstacle::To to) const {
  for (const Obstacle& obstacle : obstacles) {
    if (obstacle.to == to) return &obstacle;
  }
  return nullptr;
}

Node environment_node(const ElementBody& body) {
  Node environment = Node::make_map();
  for (const auto& [name, value] : body.environment) {
    const Node* nested = body.nested_environment.find(name);
    environment.set(name, nested != nullptr ? *nested : Node::make_scalar(value));
  }
  return environment;
}

}  // namespace sluice::model
