--[[ capability
{
  "name": "invoices.record",
  "intent": "record an approved invoice for payment",
  "description": "One number of one supplier is recorded once, unless it was withdrawn.",
  "aliases": ["store an invoice that may be paid", "put an approved bill on the list of payments"],
  "input": {
    "type": "object",
    "required": ["invoice_id", "supplier", "total", "currency", "approved_by"],
    "properties": {
      "invoice_id": {"type": "string", "maxLength": 30, "pattern": "^[^\\u0000-\\u001f]+$"},
      "supplier": {"type": "string", "maxLength": 60, "pattern": "^[^/\\u0000-\\u001f]+$"},
      "total": {"type": "number"},
      "currency": {"type": "string", "minLength": 3, "maxLength": 3},
      "approved_by": {"type": "string", "minLength": 1, "maxLength": 200}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["invoice_id", "supplier"],
    "properties": {"invoice_id": {"type": "string"}, "supplier": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["invoices"]}, "store.put": {"namespaces": ["invoices"]}},
  "compensated_by": "invoices.withdraw",
  "examples": [
    {
      "input": {
        "invoice_id": "INV-7",
        "supplier": "Paper Ltd",
        "total": 120,
        "currency": "EUR",
        "approved_by": "ann"
      },
      "output": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
      "store_after": {
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
      }
    },
    {
      "input": {
        "invoice_id": "INV-7",
        "supplier": "Paper Ltd",
        "total": 120,
        "currency": "EUR",
        "approved_by": "ann"
      },
      "output": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
      "store": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "withdrawn",
            "run_id": "r1"
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
            "status": "approved",
            "run_id": "rehearsal"
          }
        }
      }
    },
    {
      "input": {
        "invoice_id": "INV-7",
        "supplier": "Paper Ltd",
        "total": 120,
        "currency": "EUR",
        "approved_by": "ann"
      },
      "output": {"invoice_id": "INV-7", "supplier": "Paper Ltd"},
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
            "status": "approved",
            "run_id": "rehearsal"
          }
        }
      }
    },
    {
      "input": {
        "invoice_id": "INV-7",
        "supplier": "Paper Ltd",
        "total": 120,
        "currency": "EUR",
        "approved_by": "ann"
      },
      "error": "duplicate_invoice",
      "store": {
        "invoices": {
          "Paper Ltd/INV-7": {
            "invoice_id": "INV-7",
            "supplier": "Paper Ltd",
            "total": 120,
            "currency": "EUR",
            "approved_by": "ann",
            "status": "approved",
            "run_id": "r1"
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
            "status": "approved",
            "run_id": "r1"
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
  local before = found.value
  if found.version > 0 and before.status ~= "withdrawn" then
    if before.run_id ~= context.run_id then
      fail("duplicate_invoice", "the invoice " .. key .. " is already recorded")
    end
    return { invoice_id = input.invoice_id, supplier = input.supplier }
  end
  local invoice = {
    invoice_id = input.invoice_id,
    supplier = input.supplier,
    total = input.total,
    currency = input.currency,
    approved_by = input.approved_by,
    status = "approved",
    run_id = context.run_id,
  }
  store.put{ namespace = "invoices", key = key, value = invoice, if_version = found.version }
  return { invoice_id = input.invoice_id, supplier = input.supplier }
end
