--[[ capability
{
  "name": "invoices.check",
  "intent": "check the sums and dates of an invoice",
  "description": "Each line and the tax are rounded to cents.",
  "aliases": ["validate the totals of an invoice", "does an invoice add up", "verify net, tax and total of a bill"],
  "input": {
    "type": "object",
    "required": ["invoice_date", "due_date", "tax_percent", "invoice_lines", "total"],
    "properties": {
      "invoice_date": {"type": "string", "format": "date"},
      "due_date": {"type": "string", "format": "date"},
      "tax_percent": {"type": "number", "minimum": 0, "maximum": 100},
      "invoice_lines": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["text", "quantity", "unit_price"],
          "properties": {
            "text": {"type": "string"},
            "quantity": {"type": "number"},
            "unit_price": {"type": "number"}
          },
          "additionalProperties": false
        }
      },
      "total": {"type": "number"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["valid", "faults", "net", "tax"],
    "properties": {
      "valid": {"type": "boolean"},
      "faults": {"type": "array", "items": {"type": "string"}, "description": "what is wrong, one sentence each"},
      "net": {"type": "number"},
      "tax": {"type": "number"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "invoice_date": "2026-11-02",
        "due_date": "2026-12-02",
        "tax_percent": 20,
        "invoice_lines": [{"text": "Paper", "quantity": 4, "unit_price": 25}],
        "total": 120
      },
      "output": {"valid": true, "faults": [], "net": 100, "tax": 20}
    },
    {
      "input": {
        "invoice_date": "2026-11-02",
        "due_date": "2026-12-02",
        "tax_percent": 19,
        "invoice_lines": [{"text": "Ink", "quantity": 3, "unit_price": 0.333}],
        "total": 1.19
      },
      "output": {"valid": true, "faults": [], "net": 1, "tax": 0.19}
    },
    {
      "input": {
        "invoice_date": "2026-11-02",
        "due_date": "2026-11-01",
        "tax_percent": 20,
        "invoice_lines": [{"text": "Paper", "quantity": 4, "unit_price": 25}],
        "total": 130
      },
      "output": {
        "valid": false,
        "faults": ["the total is 130.00, and its lines and tax come to 120.00", "it is due before its date"],
        "net": 100,
        "tax": 20
      }
    },
    {
      "input": {
        "invoice_date": "2026-11-02",
        "due_date": "2026-12-02",
        "tax_percent": 20,
        "invoice_lines": [],
        "total": 0
      },
      "output": {"valid": false, "faults": ["it has no lines"], "net": 0, "tax": 0}
    },
    {
      "input": {
        "invoice_date": "2026-11-02",
        "due_date": "2026-12-02",
        "tax_percent": 20,
        "invoice_lines": [{"text": "Paper", "quantity": 1e+200, "unit_price": 1e+200}],
        "total": 120
      },
      "error": "out_of_range"
    }
  ]
}
]]
-- Beyond this, a number has no exact cents.
local LARGEST = 1e13

local function cents(value)
  if not (math.abs(value) <= LARGEST) then fail("out_of_range", "an amount is too large to be counted in cents") end
  return math.floor(value * 100 + 0.5)
end

function run(input, context)
  local net, faults = 0, {}
  for _, line in ipairs(input.invoice_lines) do net = net + cents(line.quantity * line.unit_price) end
  local tax = cents(net / 100 * input.tax_percent / 100)
  local sum, total = net + tax, cents(input.total)
  if #input.invoice_lines == 0 then faults[#faults + 1] = "it has no lines" end
  if sum ~= total then
    faults[#faults + 1] =
      string.format("the total is %.2f, and its lines and tax come to %.2f", total / 100, sum / 100)
  end
  if input.due_date < input.invoice_date then faults[#faults + 1] = "it is due before its date" end
  return { valid = #faults == 0, faults = faults, net = net / 100, tax = tax / 100 }
end
