--[[ capability
{
  "name": "leads.merge",
  "intent": "put leads and the companies found for them into one table",
  "aliases": ["join leads with their company data", "combine contacts with the results of a lookup"],
  "input": {
    "type": "object",
    "required": ["leads", "results"],
    "properties": {
      "leads": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["name", "email"],
          "properties": {"name": {"type": "string"}, "email": {"type": "string"}},
          "additionalProperties": false
        }
      },
      "results": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["status"],
          "properties": {
            "status": {"enum": ["succeeded", "failed"]},
            "output": {"type": "object"},
            "error": {"type": "object"}
          }
        },
        "description": "one for each lead, in the same order, as a settled join gives them"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows", "found", "unknown"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "found": {"type": "integer", "minimum": 0, "description": "leads with a company"},
      "unknown": {"type": "integer", "minimum": 0, "description": "leads without a company"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "leads": [{"name": "Ann", "email": "ann@acme.example"}, {"name": "Bob", "email": "bob@example.org"}],
        "results": [
          {"status": "succeeded", "output": {"company": "Acme", "industry": "tools", "employees": 250}},
          {"status": "failed", "error": {"code": "company_unknown"}}
        ]
      },
      "output": {
        "rows": [
          {
            "name": "Ann",
            "email": "ann@acme.example",
            "company": "Acme",
            "industry": "tools",
            "employees": 250,
            "problem": ""
          },
          {
            "name": "Bob",
            "email": "bob@example.org",
            "company": "",
            "industry": "",
            "employees": "",
            "problem": "company_unknown"
          }
        ],
        "found": 1,
        "unknown": 1
      }
    },
    {"input": {"leads": [], "results": []}, "output": {"rows": [], "found": 0, "unknown": 0}},
    {
      "input": {
        "leads": [{"name": "Ann", "email": "ann@acme.example"}],
        "results": [{"status": "succeeded", "output": {"company": "Acme"}}]
      },
      "output": {
        "rows": [
          {
            "name": "Ann",
            "email": "ann@acme.example",
            "company": "Acme",
            "industry": "",
            "employees": "",
            "problem": ""
          }
        ],
        "found": 1,
        "unknown": 0
      }
    },
    {"input": {"leads": [{"name": "Ann", "email": "ann@acme.example"}], "results": []}, "error": "uneven_lists"}
  ]
}
]]
local function problem_of(result)
  if result.status == "succeeded" then return "" end
  local code = type(result.error) == "table" and result.error.code
  return type(code) == "string" and code or "failed"
end

function run(input, context)
  local rows, unknown = {}, 0
  if #input.leads ~= #input.results then
    fail("uneven_lists", #input.leads .. " leads have " .. #input.results .. " results")
  end
  for index, lead in ipairs(input.leads) do
    local result = input.results[index]
    local found = type(result.output) == "table" and result.output or {}
    if result.status == "failed" then unknown = unknown + 1 end
    rows[index] = {
      name = lead.name,
      email = lead.email,
      company = found.company or "",
      industry = found.industry or "",
      employees = found.employees or "",
      problem = problem_of(result),
    }
  end
  return { rows = rows, found = #rows - unknown, unknown = unknown }
end
