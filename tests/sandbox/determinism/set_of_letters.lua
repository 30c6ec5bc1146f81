-- deterministic: a set made from a text
function run(input)
  local set, out = {}, {}
  for c in ('the quick brown fox'):gmatch('%a') do set[c] = true end
  for c in pairs(set) do out[#out + 1] = c end
  return table.concat(out)
end
