// Tables as Markdown and as CSV.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

enum class TableFormat { kMarkdown, kCsv, kJson };

/// "md", "csv" or "json"; ConfigError otherwise, which names the option -o.
TableFormat parse_format(std::string_view name);

using TableRow = std::vector<std::string>;

/// Columns as wide as their widest cell; numbers are flush right, which is what a column is when
/// its first row begins with a digit.
std::string markdown_table(const TableRow& header, const std::vector<TableRow>& rows);

/// RFC 4180, with line feeds: cells are quoted where that is needed.
std::string csv_table(const TableRow& header, const std::vector<TableRow>& rows);

}  // namespace varve
