-- Orders on the day they were placed, returns on the day they came back.
SELECT d.country || ' ' || d.day AS country_day,
       d.country,
       d.day,
       sum(d.orders) AS orders,
       sum(d.pieces) AS pieces,
       sum(d.revenue_pence) AS revenue_pence,
       sum(d.refunded_pence) AS refunded_pence
  FROM (SELECT o.country, substr(o.placed_at, 1, 10) AS day, count(DISTINCT o.order_id) AS orders,
               sum(l.quantity) AS pieces, sum(l.quantity * l.unit_price_pence) AS revenue_pence,
               0 AS refunded_pence
          FROM orders AS o JOIN order_lines AS l ON l.order_id = o.order_id
         GROUP BY 1, 2
         UNION ALL
        SELECT r.country, substr(r.returned_at, 1, 10), 0, 0, 0, r.refund_pence
          FROM returns AS r) AS d
 GROUP BY d.country, d.day
