#include "coordinator/bench/text_table.h"

#include <algorithm>

#include "common/error.h"

namespace varve {
namespace {

// Columns that a UTF-8 text takes; nothing wider than one comes up here.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

bool is_number(std::string_view text) {
  return !text.empty() && text.front() >= '0' && text.front() <= '9';
}

// A bar would end the cell.
std::string escaped(std::string_view text) {
  std::string cell;
  for (const char c : text) cell += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
  return cell;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of("\",\n\r") == text.npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? "\"\"" : std::string(1, c);
  return cell + "\"";
}

std::string csv_line(const TableRow& row) {
  std::string line;
  for (const std::string& cell : row) line += fmt::format("{},", quoted(cell));
  line.back() = '\n';  // a row has at least one cell
  return line;
}

struct Column {
  std::size_t width = 3;  // what "--:" takes
  bool right = false;
};

std::string markdown_line(const TableRow& row, const std::vector<Column>& columns) {
  std::string line = "|";
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string cell = escaped(row[i]);
    const std::string space(columns[i].width - width_of(cell), ' ');
    line += columns[i].right ? fmt::format(" {}{} |", space, cell)
                             : fmt::format(" {}{} |", cell, space);
  }
  return line + "\n";
}

}  // namespace

TableFormat parse_format(std::string_view name) {
  if (name == "md") return TableFormat::kMarkdown;
  if (name == "csv") return TableFormat::kCsv;
  if (name == "json") return TableFormat::kJson;
  throw ConfigError(fmt::format("-o '{}': unknown format; known: md, csv, json", name));
}

std::string markdown_table(const TableRow& header, const std::vector<TableRow>& rows) {
  std::vector<Column> columns(header.size());
  for (std::size_t i = 0; i < header.size(); ++i) {
    columns[i].width = std::max(columns[i].width, width_of(escaped(header[i])));
    for (const TableRow& row : rows) {
      columns[i].width = std::max(columns[i].width, width_of(escaped(row.at(i))));
    }
    columns[i].right = !rows.empty() && is_number(rows.front()[i]);
  }
  std::string text = markdown_line(header, columns) + "|";
  for (const Column& c : columns) {
    text += fmt::format(" {:-<{}}{} |", "", c.width - 1, c.right ? ':' : '-');
  }
  text += "\n";
  for (const TableRow& row : rows) text += markdown_line(row, columns);
  return text;
}

std::string csv_table(const TableRow& header, const std::vector<TableRow>& rows) {
  std::string text = csv_line(header);
  for (const TableRow& row : rows) text += csv_line(row);
  return text;
}

}  // namespace varve
