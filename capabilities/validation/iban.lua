--[[ capability
{
  "name": "validation.iban",
  "intent": "check whether an iban is valid",
  "aliases": ["validate an international bank account number", "verify the check digits of an IBAN"],
  "input": {
    "type": "object",
    "required": ["iban"],
    "properties": {"iban": {"type": "string", "description": "spaces are ignored"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["valid", "reason", "country"],
    "properties": {
      "valid": {"type": "boolean"},
      "reason": {"type": "string", "description": "why it is not valid; empty when it is"},
      "country": {
        "type": "string",
        "pattern": "^([A-Z][A-Z])?$",
        "description": "two letters; empty when the form is wrong"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"iban": "DE89 3704 0044 0532 0130 00"}, "output": {"valid": true, "reason": "", "country": "DE"}},
    {
      "input": {"iban": "GB82WEST12345698765431"},
      "output": {"valid": false, "reason": "the check digits are wrong", "country": "GB"}
    },
    {
      "input": {"iban": "DE8937040044053201300"},
      "output": {"valid": false, "reason": "an IBAN of DE has 22 characters", "country": "DE"}
    },
    {"input": {"iban": "hello"}, "output": {"valid": false, "reason": "not the form of an IBAN", "country": ""}}
  ]
}
]]
-- Of the ISO 13616 register; a country that is not listed is checked by form and check digits only.
local lengths = {
  AT = 20, BE = 16, BG = 22, CH = 21, CY = 28, CZ = 24, DE = 22, DK = 18, EE = 20, ES = 24, FI = 18, FR = 27, GB = 22,
  GR = 27, HR = 21, HU = 28, IE = 22, IS = 26, IT = 27, LI = 21, LT = 20, LU = 20, LV = 21, MT = 31, NL = 18, NO = 15,
  PL = 28, PT = 25, RO = 24, SE = 24, SI = 19, SK = 24,
}

local function remainder_97(iban)
  local rest = 0
  for sign in (iban:sub(5) .. iban:sub(1, 4)):gmatch(".") do
    local value = tonumber(sign, 36)
    rest = (rest * (value > 9 and 100 or 10) + value) % 97
  end
  return rest
end

function run(input, context)
  local iban = input.iban:gsub("%s", ""):upper()
  local country = iban:match("^(%u%u)%d%d%w+$")
  if not country or #iban < 15 or #iban > 34 then
    return { valid = false, reason = "not the form of an IBAN", country = "" }
  end
  local reason = ""
  if lengths[country] and #iban ~= lengths[country] then
    reason = "an IBAN of " .. country .. " has " .. lengths[country] .. " characters"
  elseif remainder_97(iban) ~= 1 then
    reason = "the check digits are wrong"
  end
  return { valid = reason == "", reason = reason, country = country }
end
