--[[ capability
{
  "name": "invoices.withdraw",
  "intent": "withdraw a recorded invoice, so that it is not paid",
  "aliases": ["take back the approval of an invoice", "undo the recording of a bill"],
  "input": {
    "type": "object",
    "required": ["invoice_id", "supplier"],
    "properties": {
      "invoice_id": {"type": "string", "maxLength": 30, "pattern": "^[^\\u0000-\\u001f]+$"},
      "supplier": {"type": "string", "maxLength": 60, "pattern": "^[^/\\u0000-\\u001f]+$"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["invoice_id", "status"],
    "properties": {"invoice_id": {"type": "string"}, "status": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["invoices"]}, "store.put": {"namespaces": ["invoices"]}},
  "examples": [
    {
      "input": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
      "output": {"invoice_id": "INV-7", "status": "withdrawn"},
      "store": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "approved",
            "run_id": "rehearsal"
          }
        }
      },
      "store_after": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "withdrawn",
            "run_id": "rehearsal"
          }
        }
      }
    },
    {
      "input": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
      "output": {"invoice_id": "INV-7", "status": "withdrawn"},
      "store": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "withdrawn",
            "run_id": "rehearsal"
          }
        }
      },
      "store_after": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "withdrawn",
            "run_id": "rehearsal"
          }
        }
      }
    },
    {
      "input": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
      "error": "invoice_not_found",
      "store_after": {"invoices": {"Paper Ltd/INV-7": null}}
    },
    {
      "input": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
      "error": "already_paid",
      "store": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "paid",
            "run_id": "rehearsal"
          }
        }
      },
      "store_after": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "paid",
            "run_id": "rehearsal"
          }
        }
      }
    }
  ]
}
]]
function run(input, context)
  local key = input.supplier .. "/" .. input.invoice_id
  local found = store.get{ namespace = "invoices", key = key }
  if found.version == 0 then fail("invoice_not_found", "there is no recorded invoice " .. key) end
  local invoice = found.value
  if invoice.status == "paid" then fail("already_paid", "the invoice " .. key .. " is already paid") end
  if invoice.status ~= "withdrawn" then
    invoice.status = "withdrawn"
    store.put{ namespace = "invoices", key = key, value = invoice, if_version = found.version }
  end
  return { invoice_id = input.invoice_id, status = "withdrawn" }
end
