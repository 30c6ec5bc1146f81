-- technique: takes a long text to code points, and counts it; must: limit
function run(input)
  local s = ('é'):rep(90000)
  while true do
    select('#', utf8.codepoint(s, 1, -1))
    utf8.len(s)
  end
end
