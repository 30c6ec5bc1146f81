-- deterministic: work that makes garbage, which nobody may notice
function run(input)
  local n = 0
  for i = 1, 5000 do local t = setmetatable({i}, {__gc = function() n = n + 1 end}) end
  return n
end
