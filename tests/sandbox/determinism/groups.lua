-- deterministic: groups made by key and listed
function run(input)
  local groups, out = {}, {}
  for i = 1, 50 do local k = 'g' .. (i * 7 % 11) groups[k] = (groups[k] or 0) + i end
  for k, v in pairs(groups) do out[#out + 1] = k .. '=' .. v end
  return out
end
