#include <filesystem>
#include <fstream>
#include <set>

#include <doctest/doctest.h>

#include "command/desk.h"

// Every file of transcripts/ is played; the answers in them were recorded from Redis 7.0.15 (record.py).
namespace larder {
namespace {

struct Line {
  std::string text;
  int number;
};

/// One `# sentence` with what follows.
struct Case {
  Line sentence;
  std::vector<Line> lines;
};

std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  int number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (text.starts_with("# "))
      cases.push_back({{text.substr(2), number}, {}});
    else if (!text.empty())
      cases.back().lines.push_back({text, number});
  }
  return cases;
}

/// Says HELLO and SELECT to the desk itself; false when `request` is neither.
bool set_connection(Desk& desk, const std::string& request) {
  if (request.starts_with("HELLO ")) desk.protocol = request == "HELLO 3" ? Protocol::resp3 : Protocol::resp2;
  if (request.starts_with("SELECT ")) desk.db = std::stoi(request.substr(7));
  return request.starts_with("HELLO ") || request.starts_with("SELECT ");
}

std::string expected_answer(const std::vector<Line>& lines, std::size_t request) {
  std::string answer;
  for (std::size_t i = request + 1; i < lines.size() && lines[i].text.starts_with("< "); ++i)
    answer += lines[i].text.substr(2) + "\r\n";
  return answer;
}

void play(const Case& transcript) {
  Desk desk;
  for (std::size_t i = 0; i < transcript.lines.size(); ++i) {
    const std::string& text = transcript.lines[i].text;
    if (text.starts_with("@ ")) desk.now_ms += std::stoi(text.substr(2));
    if (!text.starts_with("> ") || set_connection(desk, text.substr(2))) continue;
    CAPTURE(transcript.lines[i].number);
    CAPTURE(text);
    CHECK(desk.ask(text.substr(2)) == expected_answer(transcript.lines, i));
  }
}

std::set<std::filesystem::path> transcript_files() {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(TRANSCRIPTS))
    if (entry.path().extension() == ".txt") files.insert(entry.path());
  return files;
}

}  // namespace

TEST_CASE("transcripts: every command answers as Redis did") {
  const std::set<std::filesystem::path> files = transcript_files();
  CHECK(!files.empty());
  for (const std::filesystem::path& file : files)
    for (const Case& transcript : read_cases(file)) {
      CAPTURE(file.filename().string());
      CAPTURE(transcript.sentence.text);
      play(transcript);
    }
}

}  // namespace larder
