--[[ capability
{
  "name": "csv.parse",
  "intent": "parse csv text into rows",
  "description": "Quoted cells (RFC 4180), line ends of any kind; codes with a leading zero stay text.",
  "aliases": ["read a csv", "turn csv text into a list of objects", "load comma separated values"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {
      "text": {"type": "string", "description": "the first line names the columns"},
      "delimiter": {"enum": [",", ";", "\t", "|"], "description": "comma when left out"},
      "parse_numbers": {
        "type": "boolean",
        "description": "whether cells that look like numbers become numbers; true when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows", "columns"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "description": "one object a line, from column name to cell"
      },
      "columns": {"type": "array", "items": {"type": "string"}, "description": "names, in the order of the file"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {"text": "city,price\nBonn,10\nKiel,12.5\n"},
      "output": {
        "rows": [{"city": "Bonn", "price": 10}, {"city": "Kiel", "price": 12.5}],
        "columns": ["city", "price"]
      }
    },
    {
      "input": {"text": "name;zip\r\n\"Smith; \"\"J\"\"\";01234\r\n", "delimiter": ";"},
      "output": {"rows": [{"name": "Smith; \"J\"", "zip": "01234"}], "columns": ["name", "zip"]}
    },
    {
      "input": {"text": "id,note\n7,", "parse_numbers": false},
      "output": {"rows": [{"id": "7", "note": ""}], "columns": ["id", "note"]}
    },
    {"input": {"text": "city,price\n"}, "output": {"rows": [], "columns": ["city", "price"]}},
    {"input": {"text": ""}, "error": "no_header"},
    {"input": {"text": "a,b\n1\n"}, "error": "uneven_row"},
    {"input": {"text": "a\n\"open"}, "error": "unclosed_quote"},
    {"input": {"text": "a,a\n1,2"}, "error": "duplicate_column"},
    {"input": {"text": "a,\n1,2"}, "error": "unnamed_column"},
    {"input": {"text": "a\n\"1\"2"}, "error": "text_after_quote"}
  ]
}
]]
local function quoted_cell(text, start)
  local parts = {}
  while true do
    local quote = text:find('"', start, true)
    if not quote then fail("unclosed_quote", "a cell opens with a quote that is never closed") end
    parts[#parts + 1] = text:sub(start, quote - 1)
    if text:sub(quote + 1, quote + 1) ~= '"' then return table.concat(parts), quote + 1 end
    parts[#parts + 1] = '"'
    start = quote + 2
  end
end

local function records_of(text, delimiter)
  local records, record, position = {}, {}, 1
  local stops = "[" .. delimiter .. "\r\n]"
  while position <= #text + 1 do
    local cell, after
    if text:sub(position, position) == '"' then
      cell, after = quoted_cell(text, position + 1)
    else
      after = text:find(stops, position) or #text + 1
      cell = text:sub(position, after - 1)
    end
    record[#record + 1] = cell
    local sign = text:sub(after, after)
    if sign ~= delimiter then
      if sign ~= "" and sign ~= "\r" and sign ~= "\n" then
        fail("text_after_quote", "record " .. #records + 1 .. " goes on after a closing quote")
      end
      -- A line with nothing on it is no record.
      if #record > 1 or cell ~= "" then records[#records + 1] = record end
      record = {}
      if text:sub(after, after + 1) == "\r\n" then after = after + 1 end
      if after >= #text then break end
    end
    position = after + 1
  end
  return records
end

local function columns_of(header)
  local columns, seen = {}, {}
  for index, cell in ipairs(header) do
    local name = cell:match("^%s*(.-)%s*$")
    if name == "" then fail("unnamed_column", "column " .. index .. " has no name") end
    if seen[name] then fail("duplicate_column", "two columns have the name '" .. name .. "'") end
    seen[name] = true
    columns[index] = name
  end
  return columns
end

local function value_of(cell)
  local digits = cell:match("^%s*%-?(%d+%.?%d*)%s*$")
  -- 007 is a code rather than a number, and from 16 digits on a number would lose some.
  if not digits or #digits > 16 or digits:find("^0%d") or digits:sub(-1) == "." then return cell end
  return tonumber(cell)
end

function run(input, context)
  local records = records_of(input.text:gsub("^\xEF\xBB\xBF", ""), input.delimiter or ",")
  if #records == 0 then fail("no_header", "the text has no line that names the columns") end
  local columns, rows = columns_of(records[1]), {}
  for number = 2, #records do
    local record = records[number]
    if #record ~= #columns then
      fail("uneven_row", "row " .. number - 1 .. " has " .. #record .. " cells for " .. #columns .. " columns")
    end
    local row = {}
    for index, cell in ipairs(record) do
      row[columns[index]] = input.parse_numbers == false and cell or value_of(cell)
    end
    rows[number - 1] = row
  end
  return { rows = rows, columns = columns }
end
