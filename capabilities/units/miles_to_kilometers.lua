--[[ capability
{
  "name": "units.miles_to_kilometers",
  "intent": "convert miles to kilometers",
  "aliases": ["distance in miles to km", "miles in kilometres"],
  "input": {
    "type": "object",
    "required": ["miles"],
    "properties": {
      "miles": {
        "type": "number",
        "minimum": 0,
        "maximum": 1e+300,
        "description": "international miles of 1.609344 km"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["kilometers"],
    "properties": {"kilometers": {"type": "number"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"miles": 1}, "output": {"kilometers": 1.609344}},
    {"input": {"miles": 0}, "output": {"kilometers": 0.0}},
    {"input": {"miles": 100}, "output": {"kilometers": 160.9344}}
  ]
}
]]
function run(input, context)
  return { kilometers = input.miles * 1.609344 }
end
