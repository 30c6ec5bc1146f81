--[[ capability
{
  "name": "list.tidy",
  "intent": "tidy up the rows and column names of a table",
  "description": "Names become lower case with underscores; spaces become one; -, n/a, null and none become empty.",
  "aliases": ["trim spaces and drop empty rows", "normalize messy csv rows", "clean up cells and headers"],
  "input": {
    "type": "object",
    "required": ["rows", "columns"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "columns": {"type": "array", "items": {"type": "string"}, "description": "names, in the order of the file"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows", "columns", "dropped"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "columns": {"type": "array", "items": {"type": "string"}},
      "dropped": {"type": "integer", "minimum": 0, "description": "rows with nothing in them"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "rows": [{"First Name": "  Ann  Mary ", "E-Mail": "n/a"}, {"First Name": " ", "E-Mail": "-"}],
        "columns": ["First Name", "E-Mail"]
      },
      "output": {
        "rows": [{"first_name": "Ann Mary", "e_mail": ""}],
        "columns": ["first_name", "e_mail"],
        "dropped": 1
      }
    },
    {
      "input": {"rows": [{"price": 2.5, "note": "NULL"}], "columns": ["price", "note"]},
      "output": {"rows": [{"price": 2.5, "note": ""}], "columns": ["price", "note"], "dropped": 0}
    },
    {"input": {"rows": [], "columns": ["A"]}, "output": {"rows": [], "columns": ["a"], "dropped": 0}},
    {"input": {"rows": [], "columns": ["Zip code", "zip_code"]}, "error": "duplicate_column"},
    {"input": {"rows": [], "columns": ["???"]}, "error": "unnamed_column"}
  ]
}
]]
local EMPTY = { [""] = true, ["-"] = true, ["n/a"] = true, ["na"] = true, ["null"] = true, ["none"] = true }

local function name_of(column)
  local name = column:lower():gsub("[%s%p]+", "_"):match("^_*(.-)_*$")
  if name == "" then fail("unnamed_column", "nothing is left of the column name '" .. column .. "'") end
  return name
end

local function tidy(value)
  if value == nil or value == json.null then return "" end
  if type(value) ~= "string" then return value end
  local text = value:gsub("%s+", " "):match("^ ?(.-) ?$")
  return EMPTY[text:lower()] and "" or text
end

local function names_of(columns)
  local names, seen = {}, {}
  for index, column in ipairs(columns) do
    local name = name_of(column)
    if seen[name] then fail("duplicate_column", "two columns would have the name '" .. name .. "'") end
    seen[name] = true
    names[index] = name
  end
  return names
end

function run(input, context)
  local names, rows = names_of(input.columns), {}
  for _, row in ipairs(input.rows) do
    local made, filled = json.object{}, false
    for index, column in ipairs(input.columns) do
      local value = tidy(row[column])
      made[names[index]] = value
      filled = filled or value ~= ""
    end
    if filled then rows[#rows + 1] = made end
  end
  return { rows = rows, columns = names, dropped = #input.rows - #rows }
end
