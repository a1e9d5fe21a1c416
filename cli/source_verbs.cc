// The verbs of projects' files: `source`, `workspace` and `init`.
#include "cli/option_parser.h"

namespace sluice::cli {

void Parser::add_source() {
  auto* group = add_verb(app_, "source", "Manipulate sources for an element",
                         {{"sluice source fetch app.bst", "Fetch the sources of app.bst"},
                          {"sluice source track --deps all app.bst",
                           "Look for new versions of all sources that app.bst is built of"}});
  group->require_subcommand(1);

  auto* fetch = add_verb(*group, "fetch", "Fetch sources in a pipeline",
                         {{"sluice source fetch app.bst", "Fetch the sources of app.bst"},
                          {"sluice source fetch --deps all --except base.bst app.bst",
                           "Fetch all that app.bst is built of, but for base.bst"}});
  fetch->footer(
      fmt::format("Without ELEMENTS those of the project's default targets are fetched, or else "
                  "those of all its elements.\n"
                  "--deps says whose sources are fetched:\n{}",
                  kDepsHelp));
  fetch->add_option("elements", fetch_.targets)->type_name("ELEMENTS");
  once_each(
      fetch->add_option("--except", fetch_.except, "Except certain dependencies from fetching"))
      ->type_name("PATH");
  choice(*fetch, "-d,--deps", fetch_.deps, {"none", "build", "run", "all"},
         "The dependencies to fetch (default: none)");
  session_options(*fetch, fetch_);
  source_remote_options(*fetch, fetch_.remotes, false, "downloading");
  on(fetch, [this] { return Command(fetch_); });

  auto* track = add_verb(
      *group, "track", "Track new source references",
      {{"sluice source track app.bst", "Write the newest references of its sources into app.bst"},
       {"sluice source track --deps all --except base.bst app.bst",
        "Do so for all that it needs, but for base.bst"}});
  track->footer(
      fmt::format("Asks where sources come from for new versions, and writes their references "
                  "into the project: into the elements' files, or into project.refs.\n"
                  "Without ELEMENTS those of the project's default targets are tracked, or else "
                  "those of all its elements.\n"
                  "--deps says whose sources are tracked:\n{}",
                  kDepsHelp));
  track->add_option("elements", track_.targets)->type_name("ELEMENTS");
  once_each(
      track->add_option("--except", track_.except, "Except certain dependencies from tracking"))
      ->type_name("PATH");
  choice(*track, "-d,--deps", track_.deps, {"build", "run", "all", "none"},
         "The dependencies to track (default: none)");
  track->add_flag("-J,--cross-junctions", track_.cross_junctions,
                  "Allow crossing junction boundaries");
  session_options(*track, track_);
  on(track, [this] {
    if (track_.deps == "none") track_.deps = "redirect";
    return Command(track_);
  });

  auto* checkout =
      add_verb(*group, "checkout", "Checkout sources of an element",
               {{"sluice source checkout --directory src app.bst",
                 "Write the sources of app.bst to the directory src"},
                {"sluice source checkout --deps all --tar all.tar.gz --compression gz app.bst",
                 "Pack the sources of all that app.bst is built of"}});
  checkout->footer(
      fmt::format("Each element's sources come into a directory of the element's name. --deps "
                  "says whose:\n{}",
                  kDepsHelp));
  checkout->add_option("element", source_checkout_.target)->type_name("ELEMENT");
  checkout->add_flag("-f,--force", source_checkout_.force, "Allow files to be overwritten");
  once_each(
      checkout->add_option("--except", source_checkout_.except, "Except certain dependencies"))
      ->type_name("PATH");
  choice(*checkout, "-d,--deps", source_checkout_.deps, {"build", "none", "run", "all"},
         "The dependencies whose sources to checkout (default: none)");
  value(*checkout, "--tar", source_checkout_.tar, "LOCATION",
        "Create a tarball of the sources; '-' is the standard output");
  choice(*checkout, "--compression", source_checkout_.compression, {"gz", "xz", "bz2"},
         "The compression of the tarball created");
  checkout->add_flag("--include-build-scripts", source_checkout_.build_scripts,
                     "Add scripts that build the elements without a sandbox");
  last_checked(value(*checkout, "--directory", source_checkout_.directory, "DIRECTORY",
                     "The directory to checkout the sources to (default: source-checkout)"),
               no_file("--directory"));
  source_remote_options(*checkout, source_checkout_.remotes, false, "downloading cached");
  on(checkout, [this] {
    if (!source_checkout_.tar.empty() && source_checkout_.directory != "source-checkout")
      throw Conflict{"options --directory and --tar conflict"};
    if (!source_checkout_.compression.empty() && source_checkout_.tar.empty())
      throw Conflict{"--compression specified without --tar"};
    return Command(source_checkout_);
  });

  auto* push =
      add_verb(*group, "push", "Push sources to remote source caches",
               {{"sluice source push app.bst",
                 "Push the sources of app.bst to the caches that are configured"},
                {"sluice source push --source-remote https://cache.example.com:11001 app.bst",
                 "Push them to this cache"}});
  push->footer(
      fmt::format("Sources that aren't there yet are fetched first.\n"
                  "Without ELEMENTS those of the project's default targets are pushed, or else "
                  "those of all its elements.\n"
                  "--deps says whose sources are pushed:\n{}",
                  kDepsHelp));
  push->add_option("elements", source_push_.targets)->type_name("ELEMENTS");
  once_each(
      push->add_option("--except", source_push_.except, "Except certain dependencies from pushing"))
      ->type_name("PATH");
  choice(*push, "-d,--deps", source_push_.deps, {"build", "none", "run", "all"},
         "The dependencies to push (default: none)");
  session_options(*push, source_push_);
  source_remote_options(*push, source_push_.remotes, true, "uploading");
  on(push, [this] { return Command(source_push_); });
}

void Parser::add_workspace() {
  auto* group = add_verb(app_, "workspace", "Manipulate developer workspaces",
                         {{"sluice workspace open --directory app app.bst",
                           "Edit the sources of app.bst in the directory app"},
                          {"sluice workspace list", "List what is open"}});
  group->footer(
      "A workspace is a directory that takes the place of an element's sources. In it, commands "
      "work on that element.\n");
  group->require_subcommand(1);

  auto* open = add_verb(*group, "open", "Open a new workspace",
                        {{"sluice workspace open app.bst",
                          "Write the sources of app.bst to a directory, and build from there"},
                         {"sluice workspace open --no-checkout --directory ~/app app.bst",
                          "Build app.bst from a directory that is there already"}});
  open->add_option("elements", workspace_open_.elements)->type_name("ELEMENTS")->required();
  open->add_flag("--no-checkout", workspace_open_.no_checkout,
                 "Do not checkout the source, only link to the given directory");
  open->add_flag("-f,--force", workspace_open_.force,
                 "Also when the directory is not empty, or a workspace of that element exists "
                 "already: it is replaced");
  last_checked(value(*open, "--directory", workspace_open_.directory, "DIRECTORY",
                     "The directory of the workspace, of a single element"),
               no_file("--directory"));
  source_remote_options(*open, workspace_open_.remotes, false, "downloading cached");
  on(open, [this] { return Command(workspace_open_); });

  auto* close = add_verb(*group, "close", "Close workspaces",
                         {{"sluice workspace close app.bst",
                           "Build app.bst from its sources again; the directory stays"},
                          {"sluice workspace close --all --remove-dir",
                           "Close all workspaces, and remove their directories"}});
  close->add_option("elements", workspace_close_.elements)->type_name("ELEMENTS");
  close->add_flag("--remove-dir", workspace_close_.remove_directory,
                  "Remove the path that contains the closed workspace");
  close->add_flag("-a,--all", workspace_close_.all, "Close all open workspaces");
  on(close, [this] { return Command(workspace_close_); });

  auto* reset = add_verb(
      *group, "reset", "Reset a workspace to its original state",
      {{"sluice workspace reset app.bst", "Undo all that was changed in the workspace of app.bst"},
       {"sluice workspace reset --soft app.bst",
        "Keep the changes, and configure again at the next build"}});
  reset->add_option("elements", workspace_reset_.elements)->type_name("ELEMENTS");
  reset->add_flag("--soft", workspace_reset_.soft,
                  "Configure again at the next build; the content of the workspace stays");
  reset->add_flag("-a,--all", workspace_reset_.all, "Reset all open workspaces; without ELEMENTS");
  on(reset, [this] { return Command(workspace_reset_); });

  auto* list = add_verb(*group, "list", "List open workspaces",
                        {{"sluice workspace list", "List the workspaces of this project"},
                         {"sluice -C ~/project workspace list", "List those of another project"}});
  on(list, [] { return Command(WorkspaceListCommand{}); });
}

void Parser::add_init() {
  auto* sub = add_verb(
      app_, "init", "Initialize a new BuildStream project",
      {{"sluice init", "Make a project of the current directory; asks for its name"},
       {"sluice init --project-name shapes shapes", "Make a project in the new directory shapes"}});
  sub->footer("Without --project-name it asks, on a terminal.\n");
  sub->add_option("directory", init_.directory)
      ->type_name("TARGET_DIRECTORY")
      ->check(no_file("TARGET_DIRECTORY"));
  value(*sub, "--project-name", init_.name, "TEXT", "The project name to use");
  value(*sub, "--min-version", init_.min_version, "TEXT",
        "The required format version (default: 2.8)");
  value(*sub, "--element-path", init_.element_path, "PATH",
        "The subdirectory to store elements in (default: elements)");
  sub->add_flag("-f,--force", init_.force, "Allow overwriting an existing project.conf");
  on(sub, [this] { return Command(init_); });
}

}  // namespace sluice::cli
