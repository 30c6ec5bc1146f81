--[[ capability
{
  "name": "units.bytes_human",
  "intent": "show a number of bytes in a readable unit",
  "aliases": ["format a file size", "bytes as KB, MB or GB"],
  "input": {
    "type": "object",
    "required": ["bytes"],
    "properties": {
      "bytes": {"type": "integer", "minimum": 0},
      "binary": {"type": "boolean", "description": "steps of 1024 (KiB) instead of 1000 (kB)"}
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
    {"input": {"bytes": 532}, "output": {"text": "532 B"}},
    {"input": {"bytes": 1500000}, "output": {"text": "1.5 MB"}},
    {"input": {"bytes": 1536, "binary": true}, "output": {"text": "1.5 KiB"}},
    {"input": {"bytes": 999950}, "output": {"text": "1.0 MB"}},
    {"input": {"bytes": 0}, "output": {"text": "0 B"}}
  ]
}
]]
local units = { "kB", "MB", "GB", "TB", "PB", "EB" }
local binary_units = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" }

function run(input, context)
  local step = input.binary and 1024 or 1000
  if input.bytes < step then return { text = string.format("%d B", input.bytes) } end
  local value, unit = input.bytes / step, 1
  -- What would be shown as 1000.0 is shown as 1.0 of the next unit.
  while value >= step - 0.05 and unit < #units do
    value, unit = value / step, unit + 1
  end
  return { text = string.format("%.1f %s", value, (input.binary and binary_units or units)[unit]) }
end
