#include "command/command_docs.h"

#include "command/command_info.h"
#include "command/docs.h"

namespace larder {
namespace {

/// The fields of a map whose size is known only when all have been looked at.
class MapWriter {
 public:
  explicit MapWriter(ReplyWriter& reply) : reply_(reply), fields_writer_(fields_, reply.protocol()) {}
  MapWriter(const MapWriter&) = delete;
  MapWriter& operator=(const MapWriter&) = delete;
  ~MapWriter() {
    reply_.begin_map(count_);
    reply_.raw(fields_);
  }

  /// Begins a field; its value is written next.
  ReplyWriter& field(ByteView name) {
    ++count_;
    fields_writer_.bulk(name);
    return fields_writer_;
  }

  void text_unless_empty(ByteView name, ByteView text) {
    if (!text.empty()) field(name).bulk(text);
  }

 private:
  ReplyWriter& reply_;
  Bytes fields_;
  ReplyWriter fields_writer_;
  std::size_t count_ = 0;
};

void append_arguments(ReplyWriter& reply, std::span<const ArgumentDoc> arguments);

void append_argument(ReplyWriter& reply, const ArgumentDoc& argument) {
  MapWriter map(reply);
  map.field("name").bulk(argument.name);
  map.field("type").bulk(argument.type);
  if (argument.type == "key") map.field("key_spec_index").integer(argument.key_spec);
  map.text_unless_empty("token", argument.token);
  map.text_unless_empty("since", argument.since);
  std::vector<ByteView> flags;
  for (std::size_t bit = 0; bit < std::size(kArgumentFlags); ++bit)
    if (argument.flags & 1u << bit) flags.push_back(kArgumentFlags[bit]);
  if (!flags.empty()) append_words(map.field("flags"), flags);
  if (!argument.arguments.empty()) append_arguments(map.field("arguments"), argument.arguments);
}

void append_arguments(ReplyWriter& reply, std::span<const ArgumentDoc> arguments) {
  reply.begin_array(arguments.size());
  for (const ArgumentDoc& argument : arguments) append_argument(reply, argument);
}

void append_doc(ReplyWriter& reply, const CommandSpec& spec) {
  const CommandDoc& doc = doc_of(spec.name);
  MapWriter map(reply);
  map.field("summary").bulk(doc.summary);
  map.field("since").bulk(doc.since);
  map.field("group").bulk(doc.group);
  map.text_unless_empty("complexity", doc.complexity);
  if (!doc.deprecated_since.empty()) {
    append_words(map.field("doc_flags"), {"deprecated"});
    map.field("deprecated_since").bulk(doc.deprecated_since);
    map.field("replaced_by").bulk(doc.replaced_by);
  }
  if (!doc.arguments.empty()) append_arguments(map.field("arguments"), doc.arguments);
  const std::vector<const CommandSpec*> subcommands = subcommands_of(spec);
  if (!subcommands.empty()) append_command_docs(map.field("subcommands"), subcommands);
}

}  // namespace

void append_command_docs(ReplyWriter& reply, std::span<const CommandSpec* const> commands) {
  reply.begin_map(commands.size());
  append_doc_pairs(reply, commands);
}

void append_doc_pairs(ReplyWriter& reply, std::span<const CommandSpec* const> commands) {
  for (const CommandSpec* const spec : commands) {
    reply.bulk(spec->name);
    append_doc(reply, *spec);
  }
}

}  // namespace larder
