-- Names from the catalogue, numbers from everything that moves goods. What was sold without being
-- in the catalogue has a page, too.
SELECT c.stock_code,
       coalesce(p.name, '') AS name,
       coalesce(p.stock_code || ' ' || p.name, '') AS text,
       coalesce(p.stocked, FALSE) AS stocked,
       (SELECT CAST(coalesce(sum(l.quantity), 0) AS BIGINT)
          FROM order_lines AS l WHERE l.stock_code = c.stock_code) AS sold,
       (SELECT CAST(coalesce(sum(r.quantity), 0) AS BIGINT)
          FROM returns AS r WHERE r.stock_code = c.stock_code) AS returned,
       (SELECT CAST(coalesce(sum(m.quantity), 0) AS BIGINT)
          FROM stock_movements AS m
         WHERE m.stock_code = c.stock_code AND m.kind = 'received') AS received,
       (SELECT CAST(coalesce(sum(m.quantity), 0) AS BIGINT)
          FROM stock_movements AS m
         WHERE m.stock_code = c.stock_code AND m.kind = 'written off') AS written_off
  FROM (SELECT stock_code FROM products UNION SELECT stock_code FROM order_lines) AS c
  LEFT JOIN products AS p ON p.stock_code = c.stock_code
