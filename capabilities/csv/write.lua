--[[ capability
{
  "name": "csv.write",
  "intent": "write rows as csv text",
  "aliases": ["turn a list of objects into csv", "export rows to comma separated values"],
  "input": {
    "type": "object",
    "required": ["rows"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "columns": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "description": "fields to write, in this order; all fields by name when left out"
      },
      "delimiter": {"enum": [",", ";", "\t", "|"], "description": "comma when left out"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "rows": [{"city": "Bonn", "price": 10}, {"city": "Kiel", "price": 12.5}],
        "columns": ["city", "price"]
      },
      "output": {"text": "city,price\nBonn,10\nKiel,12.5\n"}
    },
    {
      "input": {"rows": [{"note": "a \"b\", c", "open": true}, {"note": "two\nlines"}]},
      "output": {"text": "note,open\n\"a \"\"b\"\", c\",true\n\"two\nlines\",\n"}
    },
    {"input": {"rows": [], "columns": ["a", "b"], "delimiter": ";"}, "output": {"text": "a;b\n"}},
    {"input": {"rows": [{"tags": ["x"]}]}, "error": "not_a_plain_value"},
    {"input": {"rows": []}, "error": "no_columns"}
  ]
}
]]
local function fields_of(rows)
  local fields, seen = {}, {}
  for _, row in ipairs(rows) do
    for field in pairs(row) do
      if not seen[field] then
        seen[field] = true
        fields[#fields + 1] = field
      end
    end
  end
  table.sort(fields)
  return fields
end

local function shown(value, field)
  if value == nil or value == json.null then return "" end
  if type(value) == "table" then fail("not_a_plain_value", "the field '" .. field .. "' holds a list or an object") end
  if type(value) == "string" then return value end
  if type(value) == "number" and value % 1 == 0 and math.abs(value) < 1e15 then return string.format("%d", value) end
  return json.encode(value)
end

local function line_of(cells, delimiter)
  local line = {}
  for index, cell in ipairs(cells) do
    if cell:find('["\r\n' .. delimiter .. "]") then cell = '"' .. cell:gsub('"', '""') .. '"' end
    line[index] = cell
  end
  return table.concat(line, delimiter)
end

function run(input, context)
  local delimiter, columns = input.delimiter or ",", input.columns or fields_of(input.rows)
  if #columns == 0 then fail("no_columns", "there are no rows to take the columns from; name them in columns") end
  local lines = { line_of(columns, delimiter) }
  for _, row in ipairs(input.rows) do
    local cells = {}
    for index, field in ipairs(columns) do cells[index] = shown(row[field], field) end
    lines[#lines + 1] = line_of(cells, delimiter)
  end
  return { text = table.concat(lines, "\n") .. "\n" }
end
