--[[ capability
{
  "name": "list.filter_by",
  "intent": "filter rows by the value of a field",
  "aliases": [
    "keep only the rows where a field has some value",
    "select rows greater or less than a value",
    "filter a list of objects"
  ],
  "input": {
    "type": "object",
    "required": ["rows", "filter_field", "value"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "filter_field": {"type": "string", "description": "name of the field to compare"},
      "value": {"type": ["string", "number", "boolean"]},
      "operator": {
        "enum": ["equals", "not_equals", "less_than", "at_most", "greater_than", "at_least", "contains"],
        "description": "equals when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "filter_field": "city",
        "value": "Bonn"
      },
      "output": {"rows": [{"name": "Ann", "city": "Bonn", "age": 31}, {"name": "Cy", "city": "Bonn", "age": 45}]}
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "filter_field": "age",
        "operator": "at_least",
        "value": 31
      },
      "output": {"rows": [{"name": "Ann", "city": "Bonn", "age": 31}, {"name": "Cy", "city": "Bonn", "age": 45}]}
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "filter_field": "name",
        "operator": "contains",
        "value": "o"
      },
      "output": {"rows": [{"name": "Bob", "city": "Kiel", "age": 27}]}
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "filter_field": "age",
        "operator": "less_than",
        "value": 1
      },
      "output": {"rows": []}
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "filter_field": "age",
        "operator": "less_than",
        "value": "31"
      },
      "error": "mixed_types"
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "filter_field": "height",
        "value": 1
      },
      "error": "missing_field"
    }
  ]
}
]]
local function field_of(row, field, index)
  local value = row[field]
  if value == nil or value == json.null then
    fail("missing_field", "row " .. index .. " has no field '" .. field .. "'")
  end
  return value
end

local tests = {
  equals = function(found, value) return found == value end,
  not_equals = function(found, value) return found ~= value end,
  less_than = function(found, value) return found < value end,
  at_most = function(found, value) return found <= value end,
  greater_than = function(found, value) return found > value end,
  at_least = function(found, value) return found >= value end,
  contains = function(found, value) return found:find(value, 1, true) ~= nil end,
}

local function comparable(operator, found, value)
  if operator == "equals" or operator == "not_equals" then return true end
  if type(found) ~= type(value) then return false end
  return type(found) == "string" or type(found) == "number" and operator ~= "contains"
end

function run(input, context)
  local operator, rows = input.operator or "equals", {}
  for index, row in ipairs(input.rows) do
    local found = field_of(row, input.filter_field, index)
    if not comparable(operator, found, input.value) then
      fail("mixed_types", "row " .. index .. ": can't compare a " .. type(found) .. " with the value by " .. operator)
    end
    if tests[operator](found, input.value) then rows[#rows + 1] = row end
  end
  return { rows = rows }
end
