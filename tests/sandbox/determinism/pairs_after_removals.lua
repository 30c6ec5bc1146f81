-- deterministic: the order after keys came and went
function run(input)
  local t, out = {}, {}
  for i = 1, 200 do t['k' .. i] = i end
  for i = 1, 200, 3 do t['k' .. i] = nil end
  for i = 1, 20 do t['n' .. i] = i end
  for k in pairs(t) do out[#out + 1] = k end
  return table.concat(out, ' ')
end
