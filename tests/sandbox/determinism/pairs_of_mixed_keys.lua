-- deterministic: numbers, texts and booleans as keys
function run(input)
  local out = {}
  for k in pairs({10, [2.5] = 1, x = 1, [true] = 1, [-3] = 1, [1e300] = 1, ['10'] = 1}) do out[#out + 1] = tostring(k) end
  return out
end
