// The verbs of programs that make something of a session's records: each is a program of its own,
// and this declares its options once, for help and completion.
#include "cli/option_parser.h"

namespace sluice::cli {

namespace {

// An option that is passed on as it is.
CLI::Option* passed_on(CLI::App& app, const std::string& name, ObserverCommand& into,
                       const std::string& type, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&into, name](const std::string& value) { into.arguments.push_back(name + "=" + value); },
          help)
      ->type_name(type);
}

}  // namespace

void Parser::add_observers() {
  auto* trace = add_verb(
      app_, "trace", "Make a trace of a session, for Perfetto or OpenTelemetry",
      {{"sluice trace --output trace.json", "Make a trace to be opened at ui.perfetto.dev"},
       {"sluice trace --otlp http://127.0.0.1:4318", "Send it to a collector of OpenTelemetry"}});
  trace->footer(
      "Without an ID: the newest session, one of this project first, whether it has ended or "
      "not.\n");
  trace->add_option("id", trace_.id)->type_name("ID");
  choice(*trace, "--format", trace_format_, {"chrome", "otlp"},
         "Trace Event JSON for Perfetto (default), or a request of OTLP in JSON");
  passed_on(*trace, "--output", trace_, "FILE", "Where it is written (default: standard output)");
  passed_on(*trace, "--otlp", trace_, "URL",
            "Send it to this collector instead, by OTLP/HTTP in JSON");
  passed_on(*trace, "--headers", trace_, "FILE",
            "Headers of what is sent to the collector, one on each line");
  on(trace, [this] {
    trace_.program = "sluice-trace";
    trace_.newest = true;
    if (!trace_format_.empty()) trace_.arguments.push_back("--format=" + trace_format_);
    return Command(trace_);
  });

  auto* metrics =
      add_verb(app_, "metrics", "Give numbers of sessions to Prometheus",
               {{"sluice metrics", "Print those of the newest session"},
                {"sluice metrics --listen 127.0.0.1:9109", "Serve those of all sessions"}});
  metrics->footer(
      "Without an ID: those of the newest session, printed; with --listen or --textfile those of "
      "all sessions that live, and of those that begin later.\n");
  metrics->add_option("id", metrics_.id)->type_name("ID");
  passed_on(*metrics, "--listen", metrics_, "HOST:PORT",
            "Serve them at http://HOST:PORT/metrics, on an address of this machine only");
  passed_on(*metrics, "--textfile", metrics_, "FILE",
            "Write them to a file for node_exporter, whenever they change");
  on(metrics, [this] {
    metrics_.program = "sluice-metrics";
    metrics_.newest = metrics_.arguments.empty();
    return Command(metrics_);
  });

  auto* collect =
      add_verb(app_, "collect", "Send records of sessions to a log collector or program",
               {{"sluice collect journald --cursor-file journald.cursors",
                 "Have every session's records in systemd's journal"},
                {"sluice collect --types run.finished exec 'mail -s ended me'",
                 "Run a command at the end of each run"}});
  collect->footer(
      "Kinds, and where they send to:\n"
      "journald: systemd's journal, with fields.\n"
      "syslog /dev/log|udp://HOST:PORT|tcp://HOST:PORT: RFC 5424.\n"
      "ndjson tcp://HOST:PORT|unix:PATH: JSON, a record on a line.\n"
      "loki URL: Loki's push API.\n"
      "otlp URL: traces, by OTLP/HTTP in JSON.\n"
      "exec COMMAND: a shell command for each record, which it has on its standard input.\n"
      "notify: desktop notifications, of long runs that end and of questions.\n"
      "Without --session: all sessions that live, and those that begin later.\n");
  collect->add_option("kind", collect_kind_)
      ->type_name("journald|syslog|ndjson|loki|otlp|exec|notify")
      ->required();
  collect->add_option("destination", collect_to_)->type_name("DESTINATION");
  value(*collect, "--session", collect_.id, "ID", "This session only, to its end");
  passed_on(*collect, "--cursor-file", collect_, "FILE",
            "Where it is kept what was delivered: the next one goes on there");
  passed_on(*collect, "--from", collect_, "start|now",
            "Of sessions that live already: all records, or those to come (default: start; "
            "notify: now)");
  passed_on(*collect, "--types", collect_, "LIST",
            "Records of these types only: names with commas between them, such as job.*");
  passed_on(*collect, "--headers", collect_, "FILE", "Headers of HTTP requests, one on each line");
  passed_on(*collect, "--jobs", collect_, "N", "exec: so many commands at once (default: 1)");
  passed_on(*collect, "--timeout", collect_, "SECONDS",
            "exec: a command that takes longer is killed (default: 60)");
  passed_on(*collect, "--after", collect_, "SECONDS",
            "notify: of runs that took that long (default: 30)");
  on(collect, [this] {
    collect_.program = "sluice-collect";
    collect_.arguments.insert(collect_.arguments.end(), {"--", collect_kind_});
    if (!collect_to_.empty()) collect_.arguments.push_back(collect_to_);
    return Command(collect_);
  });
}

}  // namespace sluice::cli
