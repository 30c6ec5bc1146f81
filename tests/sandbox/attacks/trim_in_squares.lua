-- technique: trims a line that is spaces but for its end; must: limit
function run(input)
  local s = (' '):rep(500000) .. 'x'
  while true do s:match('^(.-)%s*$') s:find('%s+$') end
end
