-- technique: loops without an end; must: limit
function run(input)
  local n = 0
  while true do n = n + 1 end
end
