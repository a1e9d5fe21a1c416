#include "remote/actions.h"

#include <filesystem>

#include "remote_execution.pb.h"

namespace sluice::remote {

namespace {

namespace reapi = build::bazel::remote::execution::v2;

void put(const store::Digest& digest, reapi::Digest* message) {
  message->set_hash(digest.hash);
  message->set_size_bytes(digest.size);
}

void put(const model::StringMap& platform, reapi::Platform* message) {
  for (const auto& [name, value] : platform) {
    auto* property = message->add_properties();
    property->set_name(name);
    property->set_value(value);
  }
}

}  // namespace

std::string relative_path(std::string_view path, std::string_view directory) {
  const auto plain = [](std::string_view text) {
    std::filesystem::path normal = std::filesystem::path(text).lexically_normal();
    return normal.has_filename() || normal == "/" ? normal : normal.parent_path();
  };
  return plain(path).lexically_relative(plain(directory)).string();
}

std::string encode_command(const wire::ExecuteRequest& request) {
  reapi::Command command;
  for (const std::string& argument : request.argv) command.add_arguments(argument);
  for (const auto& [name, value] : request.environment) {
    auto* variable = command.add_environment_variables();
    variable->set_name(name);
    variable->set_value(value);
  }
  for (const std::string& output : request.outputs)
    command.add_output_paths(relative_path(output, request.directory));
  for (const std::string& property : request.output_properties)
    command.add_output_node_properties(property);
  command.set_working_directory(request.directory.substr(1));
  command.set_output_directory_format(reapi::Command::DIRECTORY_ONLY);
  put(request.platform, command.mutable_platform());
  return command.SerializeAsString();
}

std::string encode_action(const wire::ExecuteRequest& request, const store::Digest& command) {
  reapi::Action action;
  put(command, action.mutable_command_digest());
  put(request.root, action.mutable_input_root_digest());
  put(request.platform, action.mutable_platform());
  return action.SerializeAsString();
}

Result<std::vector<std::string>> directories_of_tree(std::string_view bytes) {
  reapi::Tree tree;
  if (bytes.size() > INT32_MAX ||
      !tree.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail("remote", "misbehaved", "What came for a Tree is none");
  std::vector<std::string> directories{tree.root()};
  for (const std::string& child : tree.children()) directories.push_back(child);
  return directories;
}

}  // namespace sluice::remote
