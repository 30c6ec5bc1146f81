-- deterministic: the names that there are
function run(input)
  local out = {}
  for name, value in pairs(_G) do
    out[#out + 1] = name
    if type(value) == 'table' and value ~= _G then for inner in pairs(value) do out[#out + 1] = name .. '.' .. inner end end
  end
  return out
end
