-- technique: replaces each letter by four; must: limit
function run(input)
  local s = 'ab'
  while true do s = s:gsub('.', '%0%0%0%0') end
end
