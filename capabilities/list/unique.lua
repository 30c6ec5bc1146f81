--[[ capability
{
  "name": "list.unique",
  "intent": "remove duplicates from a list of values",
  "aliases": ["distinct values of a list", "keep each value once"],
  "input": {
    "type": "object",
    "required": ["values"],
    "properties": {"values": {"type": "array", "items": {"type": ["string", "number", "boolean"]}}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["values"],
    "properties": {
      "values": {
        "type": "array",
        "items": {"type": ["string", "number", "boolean"]},
        "uniqueItems": true,
        "description": "in order of first appearance"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"values": ["b", "a", "b"]}, "output": {"values": ["b", "a"]}},
    {"input": {"values": [1, "1", 1, true]}, "output": {"values": [1, "1", true]}},
    {"input": {"values": []}, "output": {"values": []}}
  ]
}
]]
function run(input, context)
  local values, seen = {}, {}
  for _, value in ipairs(input.values) do
    if not seen[value] then
      seen[value] = true
      values[#values + 1] = value
    end
  end
  return { values = values }
end
