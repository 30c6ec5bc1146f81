-- technique: goes through the matches of two lazy runs; must: limit
function run(input)
  for w in (('a'):rep(50000)):gmatch('(.-)(.-)b') do end
end
