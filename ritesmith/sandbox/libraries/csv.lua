-- Comma separated values after RFC 4180: quoted cells with separators, quotes and line ends in them.

local checks = ...
local byte, sub, find, gsub, format, concat = string.byte, string.sub, string.find, string.gsub, string.format,
  table.concat

local BYTE_ORDER_MARK = "\xEF\xBB\xBF"
local READ_OPTIONS = { "header", "separator" }
local WRITE_OPTIONS = { "columns", "header", "line_end", "separator" }

local function separator_of(options, name)
  local separator = options.separator
  if separator == nil then return "," end
  if type(separator) ~= "string" or #separator ~= 1 or find(separator, '[\r\n"\128-\255]') then
    checks.refuse(name, "options.separator must be one ASCII character other than a quote or a line end, got "
      .. checks.shown(separator))
  end
  return separator
end

-- A class of what ends a cell.
local function class_of(separator, more)
  return "[" .. (find(separator, "%w") and separator or "%" .. separator) .. more .. "]"
end

-- The cell whose opening quote stands before `at`, and the place behind its closing one.
local function quoted_cell(text, at, number)
  local parts, n = {}, 0
  while true do
    -- As a pattern it is paid for by how far off the quote is, and not by how long the rest of the text is.
    local quote = find(text, '["]', at)
    if not quote then checks.refuse("csv.parse", "text ends inside a quoted cell of record " .. number) end
    n = n + 1
    parts[n] = sub(text, at, quote - 1)
    if byte(text, quote + 1) ~= 34 then return concat(parts), quote + 1 end
    parts[n] = parts[n] .. '"'
    at = quote + 2
  end
end

local function records_of(text, separator)
  local records, count, record, n = {}, 0, {}, 0
  local stops, wanted, size = class_of(separator, "\r\n"), byte(separator), #text
  local at = sub(text, 1, 3) == BYTE_ORDER_MARK and 4 or 1
  while at <= size or n > 0 do
    local cell, after, quoted
    if byte(text, at) == 34 then
      cell, after = quoted_cell(text, at + 1, count + 1)
      quoted = true
    else
      after = find(text, stops, at) or size + 1
      cell = sub(text, at, after - 1)
    end
    n = n + 1
    record[n] = cell
    local sign = byte(text, after)
    if sign ~= wanted then
      if sign and sign ~= 13 and sign ~= 10 then
        checks.refuse("csv.parse", "text has " .. checks.shown(sub(text, after, after)) .. " after the closing quote of"
          .. " cell " .. n .. " of record " .. count + 1)
      end
      -- A line with nothing on it is no record.
      if n > 1 or quoted or cell ~= "" then
        count = count + 1
        records[count] = record
      end
      record, n = {}, 0
      if sign == 13 and byte(text, after + 1) == 10 then after = after + 1 end
    end
    at = after + 1
  end
  return records, count
end

local function check_columns(columns)
  local seen = {}
  for place, name in ipairs(columns) do
    if name == "" then checks.refuse("csv.parse", "column " .. place .. " of text has no name") end
    if seen[name] then checks.refuse("csv.parse", "two columns of text have the name " .. checks.shown(name)) end
    seen[name] = true
  end
end

local library = {}

function library.parse(text, options)
  checks.text(text, "csv.parse", "text")
  options = checks.only(options, "csv.parse", "options", READ_OPTIONS)
  local header = checks.flag(options.header, "csv.parse", "options.header", true)
  local records, count = records_of(text, separator_of(options, "csv.parse"))
  if not header then return records end
  local columns, rows = records[1], {}
  if not columns then return rows, {} end
  check_columns(columns)
  for number = 2, count do
    local record, row = records[number], {}
    if #record ~= #columns then
      checks.refuse("csv.parse", format("record %d of text has %d cells for %d columns", number, #record, #columns))
    end
    for place = 1, #columns do row[columns[place]] = record[place] end
    rows[number - 1] = row
  end
  return rows, columns
end

local function cell_text(value, number, key)
  if type(value) == "string" then return value end
  if value == nil or value == json.null then return "" end
  if type(value) == "boolean" then return tostring(value) end
  if type(value) ~= "number" or value - value ~= 0 then
    local place = "rows[" .. number .. "]" .. (type(key) == "string" and "." .. key or "[" .. key .. "]")
    checks.refuse("csv.write", place .. " must be a text, a number, true, false or null, got " .. checks.shown(value))
  end
  if value % 1 == 0 and value > -1e15 and value < 1e15 then return format("%d", value) end
  return tostring(value)
end

-- All fields of all rows, by name.
local function fields_of(rows)
  local names, seen = {}, {}
  for number = 1, #rows do
    for name in pairs(rows[number]) do
      if type(name) ~= "string" then
        checks.refuse("csv.write", "rows[" .. number .. "] has the field " .. checks.shown(name)
          .. " and must be an object, as rows[1] is")
      end
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

local function columns_of(rows, options)
  local columns = options.columns
  for number = 1, #rows do checks.fields(rows[number], "csv.write", "rows[" .. number .. "]") end
  if columns == nil then
    -- Lists have no names of columns.
    if #rows > 0 and #rows[1] > 0 then return nil end
    return fields_of(rows)
  end
  checks.fields(columns, "csv.write", "options.columns")
  for place = 1, #columns do checks.text(columns[place], "csv.write", "options.columns[" .. place .. "]") end
  return columns
end

function library.write(rows, options)
  checks.fields(rows, "csv.write", "rows")
  options = checks.only(options, "csv.write", "options", WRITE_OPTIONS)
  local separator = separator_of(options, "csv.write")
  local header = checks.flag(options.header, "csv.write", "options.header", true)
  local line_end = options.line_end or "\n"
  if line_end ~= "\n" and line_end ~= "\r\n" then
    checks.refuse("csv.write", "options.line_end must be '\\n' or '\\r\\n', got " .. checks.shown(line_end))
  end
  local columns, special = columns_of(rows, options), class_of(separator, '\r\n"')
  local lines, n = {}, 0

  local function put(cells)
    for place = 1, #cells do
      -- Where a text begins, a byte order mark is dropped by who reads it, unless it is quoted.
      local mark = n == 0 and place == 1 and sub(cells[1], 1, 3) == BYTE_ORDER_MARK
      if mark or find(cells[place], special) then cells[place] = '"' .. gsub(cells[place], '"', '""') .. '"' end
    end
    -- Alone, an empty cell would be an empty line.
    if #cells == 1 and cells[1] == "" then cells[1] = '""' end
    n = n + 1
    lines[n] = concat(cells, separator) .. line_end
  end

  if header and columns and #columns > 0 then put({ table.unpack(columns) }) end
  for number = 1, #rows do
    local row, cells = rows[number], {}
    local as_list = #row > 0
    if not as_list and not columns and next(row) ~= nil then
      checks.refuse("csv.write", "rows[" .. number .. "] must be a list, as rows[1] is")
    end
    for place = 1, as_list and #row or columns and #columns or 0 do
      local key = as_list and place or columns[place]
      cells[place] = cell_text(row[key], number, key)
    end
    put(cells)
  end
  return concat(lines)
end

return library
