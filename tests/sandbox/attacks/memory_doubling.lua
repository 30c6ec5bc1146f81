-- technique: doubles a text; must: limit
function run(input)
  local s = 'x'
  while true do s = s .. s end
end
