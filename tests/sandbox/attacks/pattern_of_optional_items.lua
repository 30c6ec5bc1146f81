-- technique: matches with forty optional items; must: limit
function run(input)
  return (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')
end
