// How the model's plain data is written in messages and snapshots. Included by messages.h and
// snapshot.cc only.
#pragma once

#include <string_view>

#include "model/model.h"
#include "model/settings_overrides.h"

namespace sluice {

template <typename C>
void fields(C& c, Provenance& m) {
  c("file", m.file);
  c.optional("line", m.line);
  c.optional("column", m.column);
}

}  // namespace sluice

namespace sluice::model {

template <typename C>
void fields(C& c, Node& m) {
  c("k", m.kind);
  c.optional("s", m.scalar);
  c.optional("l", m.list);
  c.optional("m", m.map);
}
template <typename C>
void fields(C& c, Digest& m) {
  c("hash", m.hash);
  c("size", m.size);
}
template <typename C>
void fields(C& c, Keys& m) {
  c("weak", m.weak);
  c("strict", m.strict);
  c("full", m.full);
}
template <typename C>
void fields(C& c, Dependency& m) {
  c("element", m.element);
  c("build", m.build);
  c("runtime", m.runtime);
  c("strict", m.strict);
}
constexpr bool as_row(const Dependency*) { return true; }
template <typename C>
void fields(C& c, ArtifactRef& m) {
  c("project", m.project);
  c("element", m.element);
  c("full_name", m.full_name);
  c.optional("kind", m.kind);
  c("key", m.key);
  c.optional("weak_key", m.weak_key);
  c("files", m.files);
  c.optional("public_data", m.public_data);
  c.optional("low_diversity_meta", m.low_diversity_meta);
  c.optional("build", m.build);
  c.optional("runtime", m.runtime);
  c.optional("index", m.index);
  c.optional("runtime_dependencies", m.runtime_dependencies);
}
template <typename C>
void fields(C& c, RefPlace& m) {
  c("file", m.file);
  c("hash", m.hash);
  c("path", m.path);
  c.optional("problem", m.problem);
}
template <typename C>
void fields(C& c, SourceUrl& m) {
  c("original_url", m.original_url);
  c("urls", m.urls);
}
template <typename C>
void fields(C& c, Plugin& m) {
  c("file", m.file);
  c("question", m.question);
  c("project", m.project);
  c("changes_previous", m.changes_previous);
  c("reads_previous", m.reads_previous);
  c("readable", m.readable);
}
template <typename C>
void fields(C& c, Source& m) {
  c("kind", m.kind);
  c("directory", m.directory);
  c.optional("works_as", m.works_as);
  c.optional("plugin", m.plugin);
  c("config", m.config);
  c.optional("url", m.url);
  c.optional("original_url", m.original_url);
  c.optional("urls", m.urls);
  c.optional("ref", m.ref);
  c("key", m.key);
  c.optional("path", m.path);
  c.optional("local_digest", m.local_digest);
  c("provenance", m.provenance);
  c.optional("more_urls", m.more_urls);
  c.optional("track_urls", m.track_urls);
  c.optional("ref_places", m.ref_places);
}
template <typename C>
void fields(C& c, Sandbox& m) {
  c("build_os", m.build_os);
  c("build_arch", m.build_arch);
  c("build_uid", m.build_uid);
  c("build_gid", m.build_gid);
  c.optional("remote_apis_socket", m.remote_apis_socket);
  c.optional("remote_apis_update", m.remote_apis_update);
}
template <typename C>
void fields(C& c, DependencyConfig& m) {
  c("element", m.element);
  c("config", m.config);
}
template <typename C>
void fields(C& c, ElementBody& m) {
  c("variables", m.variables);
  c("environment", m.environment);
  c.optional("nested_env", m.nested_environment);
  c("environment_nocache", m.environment_nocache);
  c("config", m.config);
  c("public", m.public_data);
  c.optional("description", m.description);
  c("sandbox", m.sandbox);
  c("sources", m.sources);
  c("dependency_configs", m.dependency_configs);
  c("provenance", m.provenance);
  c.optional("builds_as", m.builds_as);
  c.optional("plugin", m.plugin);
  c.optional("key_inputs", m.key_inputs);
}
template <typename C>
void fields(C& c, Obstacle& m) {
  c("to", m.to);
  c("why", m.why);
  c("at", m.at);
}
template <typename C>
void fields(C& c, Element& m) {
  c("name", m.name);
  c("full_name", m.full_name);
  c("kind", m.kind);
  c("project", m.project);
  c("dependencies", m.dependencies);
  c("keys", m.keys);
  c("sources_key", m.sources_key);
  c("has_sources", m.has_sources);
  c("sources_resolved", m.sources_resolved);
  c("sources_local", m.sources_local);
  c("builds", m.builds);
  c.optional("obstacles", m.obstacles);
  c.optional("unsupported_by", m.unsupported_by);
  c.optional("lists_sources", m.lists_sources);
  c.optional("platform", m.platform);
  c.optional("labels", m.labels);
}
constexpr bool as_row(const Element*) { return true; }
template <typename C>
void fields(C& c, ShellConfig::HostFile& m) {
  c("path", m.path);
  c("source", m.source);
  c("optional", m.optional);
}
template <typename C>
void fields(C& c, ShellConfig& m) {
  c("command", m.command);
  c("environment", m.environment);
  c("environment_inherit", m.environment_inherit);
  c("host_files", m.host_files);
}
template <typename C>
void fields(C& c, Remote& m) {
  c("url", m.url);
  c.optional("instance_name", m.instance_name);
  c("type", m.type);
  c.optional("push", m.push);
  c.optional("server_cert", m.server_cert);
  c.optional("client_key", m.client_key);
  c.optional("client_cert", m.client_cert);
  c.optional("access_token", m.access_token);
  c.optional("access_token_reload_interval", m.access_token_reload_interval);
  c.optional("keepalive_time", m.keepalive_time);
  c.optional("retry_limit", m.retry_limit);
  c.optional("retry_delay", m.retry_delay);
  c.optional("request_timeout", m.request_timeout);
}
template <typename C>
void fields(C& c, RemoteExecution& m) {
  c.optional("execution", m.execution);
  c.optional("storage", m.storage);
  c.optional("action_cache", m.action_cache);
}
template <typename C>
void fields(C& c, CacheServers& m) {
  c.optional("configured", m.configured);
  c.optional("recommended", m.recommended);
  c.optional("only_configured", m.only_configured);
}
template <typename C>
void fields(C& c, Project& m) {
  c("name", m.name);
  c("directory", m.directory);
  c("junction", m.junction);
  c("fatal_warnings", m.fatal_warnings);
  c("shell", m.shell);
  c.optional("loaded_by", m.loaded_by);
  c.optional("options", m.options);
  c.optional("element_plugins", m.element_plugins);
  c.optional("source_plugins", m.source_plugins);
  c("artifact_servers", m.artifact_servers);
  c("source_servers", m.source_servers);
}
template <typename C>
void fields(C& c, PluginSettings& m) {
  c("enabled", m.enabled);
  c("sandbox", m.sandbox);
  c("python", m.python);
  c("timeout", m.timeout);
  c("memory", m.memory);
}
template <typename C>
void fields(C& c, Settings& m) {
  c("cachedir", m.cachedir);
  c("sourcedir", m.sourcedir);
  c("builddir", m.builddir);
  c("logdir", m.logdir);
  c("workspacedir", m.workspacedir);
  c("builders", m.builders);
  c("fetchers", m.fetchers);
  c("pushers", m.pushers);
  c("network_retries", m.network_retries);
  c.optional("network_timeout", m.network_timeout);
  c.optional("plugins", m.plugins);
  c("max_jobs", m.max_jobs);
  c("on_error", m.on_error);
  c("cache_buildtrees", m.cache_buildtrees);
  c("build_dependencies", m.build_dependencies);
  c("strict", m.strict);
  c("error_lines", m.error_lines);
  c("message_lines", m.message_lines);
  c("cache_quota", m.cache_quota);
  c("debug", m.debug);
  c("verbose", m.verbose);
  c.optional("jobserver", m.jobserver);
  c.optional("max_silent_time", m.max_silent_time);
  c.optional("max_log_size", m.max_log_size);
  c.optional("max_memory", m.max_memory);
  c.optional("tmp_size", m.tmp_size);
  c.optional("retry_failed", m.retry_failed);
  c.optional("pull_buildtrees", m.pull_buildtrees);
  c.optional("key_length", m.key_length);
  c.optional("element_format", m.element_format);
  c.optional("message_format", m.message_format);
  c.optional("config_file", m.config_file);
  c.optional("remote_execution", m.remote_execution);
  c.optional("storage_service", m.storage_service);
}
template <typename C>
void fields(C& c, SettingsOverrides& m) {
  each_override(m, [&](std::string_view name, auto& value, auto) { c.optional(name, value); });
}

}  // namespace sluice::model
